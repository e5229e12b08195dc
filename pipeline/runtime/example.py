"""The example configuration: every setting with its meaning, range and default.

Comes in: ``Settings``, whose fields carry titles and ranges. Goes out: YAML text that loads again to
the defaults. It knows no setting by name, so it cannot lag behind.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.core.settings import Settings

_HEAD = """\
# Foretell's configuration: every setting at its default, with its meaning and range.
# Delete what you do not change; a missing key means its default. An unknown key is an error.
# Check it with: foretell check-config -c FILE
"""
_Schema = dict[str, Any]


def example_config(mqtt: Mapping[str, object] | None = None) -> str:
    """Return a fully commented configuration that loads to the defaults.

    Args:
        mqtt: Values of the section ``mqtt`` that differ from the defaults; those of sections within it as mappings.

    Example:
        >>> "# Broker port. [at least 1, at most 65535; default 1883]" in example_config()
        True
    """
    schema = Settings.model_json_schema()
    values = Settings().model_dump(mode="json")
    for key, value in (mqtt or {}).items():
        old = values["mqtt"][key]
        values["mqtt"][key] = {**old, **value} if isinstance(value, Mapping) else value
    body = _section(schema, values, schema["$defs"], "")
    return "\n".join([*_HEAD.splitlines(), "", *body, ""])


def _section(schema: _Schema, values: dict[str, Any], defs: _Schema, indent: str) -> Iterator[str]:
    """Yield the lines of one section, sections within it included."""
    for key, field in schema["properties"].items():
        value = values[key]
        if isinstance(value, dict):
            inner = _resolve(field, defs)
            yield from ("", f"{indent}# {inner['description']}", f"{indent}{key}:")
            yield from _section(inner, value, defs, indent + "  ")
        elif isinstance(value, list) and value:
            yield from (*_comments(field, indent), f"{indent}{key}:")
            yield from _items(_resolve(field["items"], defs), value, defs, indent + "  ")
        else:
            yield from (*_comments(field, indent), f"{indent}{key}: {json.dumps(value)}")


def _items(schema: _Schema, values: list[dict[str, Any]], defs: _Schema, indent: str) -> Iterator[str]:
    """Yield the lines of a list of sections; the dash stands before the first key of each."""
    for value in values:
        lines = list(_section(schema, value, defs, indent + "  "))
        first = next(i for i, line in enumerate(lines) if not line.lstrip().startswith("#"))
        lines[first] = f"{indent}- {lines[first].lstrip()}"
        yield from lines


def _resolve(field: _Schema, defs: _Schema) -> _Schema:
    """Follow a reference of the JSON schema to the section it names."""
    section: _Schema = defs[field["$ref"].rpartition("/")[2]]
    return section


def _comments(field: _Schema, indent: str) -> Iterator[str]:
    """Yield what a field means, and how to choose it where that is not plain."""
    yield f"{indent}# {_comment(field)}"
    if "description" in field:
        yield f"{indent}# {field['description']}"


def _comment(field: _Schema) -> str:
    """Return a field's title, its range and, where it is one scalar, its default."""
    notes = [_range(field)]
    if not isinstance(field["default"], list):
        notes.append(f"default {json.dumps(field['default'])}")
    return f"{field['title']} [{'; '.join(filter(None, notes))}]"


def _range(field: _Schema) -> str:
    """Return the values a field allows, in words; empty when any of its type will do."""
    if "enum" in field:
        return "one of " + ", ".join(json.dumps(choice) for choice in field["enum"])
    if field["type"] == "boolean":
        return "true or false"
    limits = {
        "minimum": "at least {}",
        "exclusiveMinimum": "more than {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "less than {}",
        "pattern": "matches {}",
        "minItems": "entries: at least {}",
    }
    return ", ".join(text.format(field[name]) for name, text in limits.items() if name in field)
