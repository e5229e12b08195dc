"""Whether what the Spark job needs is installed; asked before anything of it is imported."""

from importlib.util import find_spec

from pipeline.core.errors import UsageError

_LIBRARIES = ("pyspark", "pandas", "pyarrow", "google.protobuf")


def require_spark() -> None:
    """Check that Spark's libraries are installed.

    Raises:
        UsageError: One is not; the message has the command that installs them all.
    """
    for name in _LIBRARIES:
        try:
            is_there = find_spec(name) is not None
        except ModuleNotFoundError:  # the package that it would be in
            is_there = False
        if not is_there:
            raise UsageError("foretell scale", f"{name} is not installed", "pip install 'foretell[spark]'")
