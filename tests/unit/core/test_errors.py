"""What reaches a terminal or log is one bounded, printable line, whatever it quotes."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import ForetellError, UsageError, printable

ANY_TEXT = st.text(st.characters(), max_size=600)  # surrogates included


@given(ANY_TEXT)
def test_printable_text_is_printable_bounded_and_encodable(text: str) -> None:
    shown = printable(text, limit=50)
    assert shown.isprintable()
    assert len(shown) <= 50 * len("\\U0010ffff")
    shown.encode()


@given(st.text("abc äöü≥", max_size=50))
def test_printable_leaves_harmless_text_alone(text: str) -> None:
    assert printable(text, limit=50) == text


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_a_usage_error_is_one_printable_line(where: str, problem: str, remedy: str) -> None:
    assert str(UsageError(where, problem, remedy)).isprintable()


def test_exit_codes_tell_failure_from_wrong_usage() -> None:
    assert ForetellError("broken").exit_code == 1
    assert UsageError("f", "wrong", "mend it").exit_code == 2
