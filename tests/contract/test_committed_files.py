"""What is committed must mean the same on every machine."""

import re
import subprocess
from pathlib import Path

import pytest

# Folders of somebody's own machine. In pieces, because this file is committed too.
LOCAL = re.compile(r"(?<![\w.$}])/" + r"(?:work|home/\w+|Users/\w+|root|tmp/\w+|opt/(?:pypi|wheels))/")
#: Folders inside a container are the image's own.
CONTAINER = ("docker/",)
#: Golden messages are bytes, whatever they hold.
RAW = {"payload"}


def committed_text(repository: Path) -> dict[str, str]:
    """Return the text files that git knows, by name; all files where this is no git checkout."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    texts = {}
    for name in filter(None, listed.stdout.split("\0")):
        file = repository / name
        data = file.read_bytes() if file.is_file() else b""
        if b"\0" not in data and file.name not in RAW:
            texts[name] = data.decode("utf-8")
    return texts


def test_no_committed_file_names_a_folder_of_one_machine(repository: Path) -> None:
    texts = committed_text(repository)
    assert len(texts) > 30
    found = {name: match[0] for name, text in texts.items() if (match := LOCAL.search(text))}
    assert {name for name in found if not name.startswith(CONTAINER)} == set()


def test_a_local_folder_is_noticed() -> None:
    for folder in ("work", "home/me", "tmp/v0", "root"):
        assert LOCAL.search(f"see /{folder}/x")
    for harmless in ("https://example.org/work/x", "../shared/data", "a/work/b", "/metrics"):
        assert not LOCAL.search(harmless)


def test_the_lock_names_no_index_and_hashes_every_pin(repository: Path) -> None:
    lock = (repository / "requirements" / "lock.txt").read_text("utf-8")
    assert "://" not in lock
    pins = re.split(r"\n(?=\w)", lock.partition("\n\n")[2] or lock)
    pins = [pin for pin in pins if re.match(r"[\w.-]+==", pin)]
    assert len(pins) > 30
    assert [pin for pin in pins if "--hash=sha256:" not in pin] == []
