"""Result files: complete under their name, or not there at all.

Comes in: a path the user gave. Goes out: a temporary path beside it to write to, renamed when all is
written. Refuses to know what is written.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from pipeline.core.errors import UsageError


def check_outfile(path: Path, suffixes: Sequence[str], option: str) -> None:
    """Refuse a result file that could not be written, before the work begins.

    Args:
        path: The file to write; one that is there will be replaced.
        suffixes: Suffixes that choose a known format, lower case, with the dot.
        option: The option that named it, for the message.

    Raises:
        UsageError: Unknown suffix, no such folder, no permission, or not a regular file.
    """
    where = f"{option} {path}"
    if path.suffix.lower() not in suffixes:
        raise UsageError(where, "the suffix names no known format", f"end it in {' or '.join(suffixes)}")
    if path.exists() and not path.is_file():
        raise UsageError(where, "is there and no regular file", "name a file")
    if not path.resolve().parent.is_dir():
        raise UsageError(where, "its folder does not exist", "make the folder, or name another file")
    try:
        _new_draft(path.resolve()).unlink()
    except OSError as error:
        raise UsageError(where, f"cannot be written ({error.strerror})", "name a file in a folder of yours") from None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file beside ``path``, and rename it to ``path`` when the block ends well.

    A link is followed: its target is replaced. On any exception the old file stays as it was.

    Raises:
        OSError: The folder cannot be written to.
    """
    target = path.resolve()
    draft = _new_draft(target)
    try:
        yield draft
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _new_draft(target: Path) -> Path:
    """Create an empty file beside ``target`` that nobody else uses."""
    draft = target.with_name(f".{target.name[:80]}.{token_hex(4)}.tmp")
    draft.open("xb").close()
    return draft
