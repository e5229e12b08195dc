"""A configuration file, read with bounds.

Comes in: a path. Goes out: validated ``Settings``. What the keys mean is ``core.settings``' matter.
"""

from pathlib import Path

from pipeline.core.errors import UsageError
from pipeline.core.settings import Settings, parse_settings

MAX_CONFIG_BYTES = 1 << 20
_MAKE_ONE = "write one with 'foretell init --output FILE'"


def load_settings(path: Path) -> Settings:
    """Read and validate a configuration file.

    Args:
        path: YAML file, UTF-8, at most 1 MiB.

    Returns:
        Validated settings.

    Raises:
        UsageError: The file is missing, not a file, unreadable, too large, not UTF-8, or its content
            is wrong; the message names file, line and key as far as they are known.
    """
    name = str(path)
    data = _read_bounded(path)
    if len(data) > MAX_CONFIG_BYTES:
        raise UsageError(name, f"larger than {MAX_CONFIG_BYTES} bytes", "give a configuration, not a recording")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UsageError(f"{name}:{line}", "not UTF-8 text", "save the file as UTF-8") from None
    return parse_settings(text, name)


def _read_bounded(path: Path) -> bytes:
    """Read one byte more than is allowed, so that the caller can tell; never the whole of a huge file."""
    name = str(path)
    try:
        if path.exists() and not path.is_file():
            raise UsageError(name, "not a regular file", _MAKE_ONE)
        with path.open("rb") as file:
            return file.read(MAX_CONFIG_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(name, "no such file", _MAKE_ONE) from None
    except OSError as error:
        raise UsageError(name, f"cannot be read: {error.strerror}", "check the path and its permissions") from None
    except ValueError:  # a NUL in the path
        raise UsageError(name, "not a file name", _MAKE_ONE) from None
