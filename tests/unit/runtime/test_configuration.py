"""A configuration file is read with bounds, and whatever is wrong with it is one line."""

import os
from pathlib import Path

import pytest

from pipeline.core.errors import UsageError
from pipeline.core.settings import Settings
from pipeline.runtime.configuration import MAX_CONFIG_BYTES, load_settings

BAD_CONTENT = {
    "binary": (b"\x00\xff\xfe\x01", ":1: not UTF-8 text"),
    "Latin-1 in its third line": (b"mqtt:\n  port: 1\n# gr\xfcn\n", ":3: not UTF-8 text"),
    "UTF-16": ("site: home".encode("utf-16"), ":1: not UTF-8 text"),
    "too large": (b"#" * (MAX_CONFIG_BYTES + 1), f": larger than {MAX_CONFIG_BYTES} bytes"),
    "an unknown key": (b"site: a\nmqtt:\n  prot: 1\n", ":3: mqtt.prot is not a setting; did you mean mqtt.port?"),
}


@pytest.mark.parametrize(("content", "expected"), BAD_CONTENT.values(), ids=BAD_CONTENT.keys())
def test_bad_content_is_named_with_file_and_line(tmp_path: Path, content: bytes, expected: str) -> None:
    file = tmp_path / "edge.yaml"
    file.write_bytes(content)
    assert error_of(file).startswith(f"{file}{expected}")


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    file = tmp_path / "none.yaml"
    assert error_of(file) == f"{file}: no such file; write one with 'foretell init --output FILE'"


def test_what_is_not_a_regular_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # reading it would block for ever
    for path in (tmp_path, pipe):
        assert error_of(path).startswith(f"{path}: not a regular file; ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text("site: home")
    file.chmod(0)
    assert error_of(file).startswith(f"{file}: cannot be read: ")


@pytest.mark.parametrize("name", ["a" * 5000, "a\0b"])
def test_an_impossible_name_is_an_error_too(name: str) -> None:
    assert ": " in error_of(Path(name))


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "edge.yaml"
    file.write_bytes(b"\xef\xbb\xbfsite: hall\n")
    assert load_settings(file) == Settings(site="hall")


def error_of(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        load_settings(path)
    return str(caught.value)
