"""Topic templates: filters, stream names, and the templates that are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decode.topics import Route, filters_overlap


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("plant/{device}/{sensor}", "plant/+/+"),
        ("sensors/{rest}", "sensors/#"),
        ("{site}/x/{rest}", "+/x/#"),
        ("{rest}", "#"),
        ("plant/pump/temperature", "plant/pump/temperature"),
    ],
)
def test_a_template_becomes_a_subscription_filter(topic: str, expected: str) -> None:
    assert Route.parse(topic, "s").filter == expected


@pytest.mark.parametrize(
    ("topic", "stream", "received", "expected"),
    [
        ("plant/{device}/{sensor}", "{device}/{sensor}", "plant/p1/t", "p1/t"),
        ("plant/{device}/{sensor}", "{sensor}.{device}", "plant/p1/t", "t.p1"),
        ("plant/{device}/{sensor}", "{device}", "plant/p1", None),
        ("plant/{device}/{sensor}", "{device}", "plant/p1/t/x", None),
        ("plant/{device}/{sensor}", "{device}", "plants/p1/t", None),
        ("sensors/{rest}", "{rest}", "sensors/a/b/c", "a/b/c"),
        ("sensors/{rest}", "{rest}", "sensors/a", "a"),
        ("sensors/{rest}", "{rest}", "sensors", None),
        ("sensors/{rest}", "{rest}", "sensors/", None),
        ("{rest}", "{rest}", "a/b", "a/b"),
        ("fixed/topic", "boiler", "fixed/topic", "boiler"),
    ],
)
def test_a_topic_names_a_stream(topic: str, stream: str, received: str, expected: str | None) -> None:
    assert Route.parse(topic, stream).stream(received) == expected


@pytest.mark.parametrize(
    ("stream", "key", "expected"),
    [
        ("{device}", "value", "p1"),
        ("{device}", "humidity", "p1/humidity"),
        ("{device}", "room temperature", "p1/room_temperature"),
        ("{device}", "'; --", None),
        ("{key}.{device}", "humidity", "humidity.p1"),
        ("{key}.{device}", "value", "value.p1"),
    ],
)
def test_a_key_is_added_to_the_name_or_put_where_the_template_says(stream: str, key: str, expected: str | None) -> None:
    assert Route.parse("plant/{device}", stream).stream("plant/p1", key) == expected


@pytest.mark.parametrize(
    "received",
    [
        'plant/"',
        "plant/\\",
        "plant/\u202egnp",
        "plant/🌡",
        "plant/a;b",
        "plant/../a",
        "plant/a//b",
        "plant/'; --",
        "plant/\ud800",
        "plant/a\n",
        "plant/" + "x" * 60_000,
        "plant/" + "x" * 129,
    ],
)
def test_names_outside_the_allow_list_are_refused(received: str) -> None:
    assert Route.parse("plant/{rest}", "{rest}").stream(received) is None


@pytest.mark.parametrize(
    ("topic", "stream", "message"),
    [
        ("plant/+/t", "s", "wildcard"),
        ("plant/#", "s", "wildcard"),
        ("plant/{rest}/t", "s", "at the end"),
        ("plant/{a}/{a}", "s", "twice"),
        ("plant/x{a}", "s", "mixes text and braces"),
        ("plant/{A}", "s", "mixes text and braces"),
        ("plant/{a", "s", "mixes text and braces"),
        ("plant/{key}", "s", "payload"),
        ("plant/\x00", "s", "printed"),
        ("plant/{a}", "{b}", r"\{b\} is not in the topic; use \{a\}, \{key\}"),
        ("plant/{a}", "{a!r}", "characters other than"),
        ("plant/{a}", "{a.__class__}", "characters other than"),
        ("plant/{a}", "x y", "characters other than"),
    ],
)
def test_a_wrong_template_is_refused_with_a_remedy(topic: str, stream: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        Route.parse(topic, stream)
    assert "; " in str(error.value)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("#", "foretell/home/alert/#", True),
        ("foretell/#", "foretell/home/alert/#", True),
        ("+/+/+/+", "foretell/home/alert/#", True),
        ("+/+", "foretell/home/alert/#", False),
        ("foretell/home", "foretell/home/alert/#", False),
        ("foretell/home/alert", "foretell/home/alert/#", True),
        ("foretell/home/state/+", "foretell/home/alert/#", False),
        ("sensors/#", "foretell/home/alert/#", False),
        ("a/b", "a/b", True),
        ("a/b/c", "a/b", False),
    ],
)
def test_overlap_of_two_filters_is_known_in_both_orders(one: str, other: str, *, expected: bool) -> None:
    assert filters_overlap(one, other) is expected
    assert filters_overlap(other, one) is expected


LEVEL = st.sampled_from(["a", "b", "c"])


@given(
    filters=st.lists(st.lists(st.sampled_from(["a", "b", "+"]), min_size=1, max_size=3), min_size=2, max_size=2),
    tails=st.tuples(st.booleans(), st.booleans()),
    topic=st.lists(LEVEL, min_size=1, max_size=4),
)
def test_a_topic_that_matches_two_filters_proves_that_they_overlap(
    filters: list[list[str]], tails: tuple[bool, bool], topic: list[str]
) -> None:
    both = [each + ["#"] * tail for each, tail in zip(filters, tails, strict=True)]
    if all(matches(each, topic) for each in both):
        assert filters_overlap("/".join(both[0]), "/".join(both[1]))


def matches(levels: list[str], topic: list[str]) -> bool:
    if levels[-1] == "#":
        levels, topic = levels[:-1], topic[: len(levels) - 1]
    return len(levels) == len(topic) and all(a in ("+", b) for a, b in zip(levels, topic, strict=True))
