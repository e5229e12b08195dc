"""Dashboards name only metrics that exist, and stand on no installation's own ids."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}


def dashboards(repository: Path) -> dict[str, dict[str, Any]]:
    files = sorted((repository / "dashboards").glob("*.json"))
    assert files
    return {file.name: json.loads(file.read_text("utf-8")) for file in files}


def strings(node: object, key: str) -> Iterator[str]:
    """Yield every string that stands under ``key``, at any depth."""
    if isinstance(node, dict):
        for name, child in node.items():
            if name == key and isinstance(child, str):
                yield child
            yield from strings(child, key)
    elif isinstance(node, list):
        for child in node:
            yield from strings(child, key)


def scraped_names() -> set[str]:
    """Return the names of all time series that the catalogue leads to."""
    from pipeline.sinks.catalogue import CATALOGUE

    return {spec.full_name + end for spec in CATALOGUE for end in SUFFIXES.get(spec.kind, ("",))}


def test_every_expression_names_only_catalogued_metrics(repository: Path) -> None:
    for file, dashboard in dashboards(repository).items():
        expressions = [*strings(dashboard["panels"], "expr"), *strings(dashboard["templating"], "definition")]
        assert len(expressions) > 5
        for expression in expressions:
            named = set(re.findall(r"\bforetell_\w+", expression))
            assert named, f"{file}: {expression}"
            assert named <= scraped_names(), f"{file}: {expression}"


def test_every_data_source_is_the_variable(repository: Path) -> None:
    for file, dashboard in dashboards(repository).items():
        assert dashboard["id"] is None, file
        assert set(strings(dashboard["panels"], "uid")) == {"${datasource}"}, file
        variables = {variable["name"]: variable["type"] for variable in dashboard["templating"]["list"]}
        assert variables == {"datasource": "datasource", "stream": "query"}, file


def test_panels_have_titles_ids_of_their_own_and_do_not_overlap(repository: Path) -> None:
    for file, dashboard in dashboards(repository).items():
        panels = dashboard["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels), file
        assert all(panel["title"] for panel in panels), file
        cells = [
            (x, y)
            for place in (panel["gridPos"] for panel in panels)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        assert len(cells) == len(set(cells)), file
        assert max(x for x, _ in cells) < 24, file


@pytest.mark.parametrize("wrong", ["foretell_scores", "foretell_step_duration_seconds", "foretell_message_total"])
def test_a_name_that_is_not_scraped_is_noticed(wrong: str) -> None:
    assert wrong not in scraped_names()
    assert "foretell_score" in scraped_names()
    assert "foretell_step_duration_seconds_bucket" in scraped_names()
