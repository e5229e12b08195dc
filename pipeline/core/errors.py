"""The errors a user can cause, and the one line each of them prints.

Comes in: what was wrong, where, and what to do about it. Goes out: an exception whose text is
that one line. This module refuses to know how a line is printed or what process it ends.
"""


class ForetellError(Exception):
    """Something failed that the user can act on; the CLI prints it as one line.

    Attributes:
        exit_code: What the command ends with: 1 for a failure, 2 for wrong usage or configuration.
    """

    exit_code = 1


class UsageError(ForetellError):
    """Wrong usage, configuration or input file: named place, cause and remedy.

    Args:
        where: File, ``file:line``, option or topic that is at fault.
        problem: What is wrong with it.
        remedy: What to do about it.

    Example:
        >>> str(UsageError("edge.yaml:3", "mqtt.prot is not a setting", "did you mean port?"))
        'edge.yaml:3: mqtt.prot is not a setting; did you mean port?'
    """

    exit_code = 2

    def __init__(self, where: str, problem: str, remedy: str) -> None:
        """Compose the one line."""
        super().__init__(f"{printable(where)}: {printable(problem)}; {printable(remedy)}")


def printable(text: str, limit: int = 300) -> str:
    r"""Return ``text`` safe for a log line or terminal: one line, no control characters, bounded.

    Example:
        >>> printable("a\nb\x1b[31m")
        'a\\nb\\x1b[31m'
    """
    shown = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
