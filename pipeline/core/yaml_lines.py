"""YAML text as plain data, with the line of every key.

Comes in: text that somebody else wrote. Goes out: dicts, lists and scalars, and where each key
stands. Refused: repeated keys, which YAML would silently merge; aliases, which can unfold without
bound; nesting deeper than any setting. This module knows nothing about settings.
"""

from typing import Any

import yaml

from pipeline.core.errors import UsageError

#: Where a value stands: keys and list positions from the root.
Path = tuple[str | int, ...]

MAX_DEPTH = 12
_EXAMPLE = "mend the line; 'foretell init' prints a complete example"


class _PlainLoader(yaml.SafeLoader):
    """SafeLoader without aliases and deep nesting, whose every error has a line."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401 - yaml's signature
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # untyped in types-PyYAML
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not supported", mark)
        if self.depth >= MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, f"nested deeper than {MAX_DEPTH} levels", mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - yaml's
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            # Such as the date 2026-13-45 or a number of 5,000 digits: yaml lets Python's own error through.
            kind = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(None, None, f"not a valid {kind}", node.start_mark) from None


def read_yaml(text: str, source: str) -> tuple[Any, dict[Path, int]]:
    r"""Parse one YAML document.

    Args:
        text: YAML text.
        source: File name for error messages.

    Returns:
        The data, None for an empty document, and the line of every key and list item, from 1.

    Raises:
        UsageError: Not YAML, or one of the things refused above; the message names the line.

    Example:
        >>> read_yaml("mqtt:\n  port: 1883\n", "edge.yaml")
        ({'mqtt': {'port': 1883}}, {(): 1, ('mqtt',): 1, ('mqtt', 'port'): 2})
    """
    lines: dict[Path, int] = {}
    try:
        loader = _PlainLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None, lines
        _collect_lines(node, (), lines, source)
        return loader.construct_document(node), lines
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = f"not YAML: character U+{error.character:04X} is not allowed"
        raise UsageError(f"{source}:{line}", problem, "save the file as UTF-8 text") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{source}:{line}", f"not YAML: {error.problem}", _EXAMPLE) from None


def _collect_lines(node: yaml.Node, path: Path, lines: dict[Path, int], source: str) -> None:
    """Remember the line of every key and list item, and refuse repeated keys."""
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            here = (*path, str(key.value))
            line = key.start_mark.line + 1
            if here in lines:
                name = ".".join(map(str, here))
                first = f"{name} is set twice, first in line {lines[here]}"
                raise UsageError(f"{source}:{line}", first, "keep one of them")
            lines[here] = line
            _collect_lines(child, here, lines, source)
    elif isinstance(node, yaml.SequenceNode):
        for i, child in enumerate(node.value):
            _collect_lines(child, (*path, i), lines, source)
