"""The rules of the house: who may import whom, what is never called, how long a file may be."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

STAGES = {"decode", "streams", "forecast", "detect"}
EDGES = {"sources", "sinks", "store"}
FLOW = {"core", "flow"} | STAGES
COMPOSED = FLOW | EDGES
#: Folder of pipeline/ -> folders it may import from, besides itself.
MAY_IMPORT = {
    "core": set[str](),
    **{folder: {"core"} for folder in STAGES | EDGES},
    "flow": {"core"} | STAGES,
    "runtime": COMPOSED,
    "scaleout": COMPOSED | {"runtime"},
    "evaluate": COMPOSED | {"runtime"},
    "web": {"core", "runtime", "sinks"},
    "cli": {"core", "runtime", "scaleout", "evaluate", "web"},
}
#: Library -> the only folders or files of pipeline/ that may import it.
ONLY_IN = {
    "torch": {"forecast/by_torch"},
    "river": {"detect", "evaluate"},
    "paho": {
        *("sources/mqtt.py", "sources/mqtt_client.py", "sources/broker_probe.py", "sinks/publisher.py"),
        *("evaluate/bench_live.py", "evaluate/bench_live_worker.py"),  # what the daemon is held against
    },
    "prometheus_client": {"sinks"},
    "pyspark": {"scaleout"},
    "nats": {"scaleout"},
}
NEVER_IMPORTED = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
NEVER_CALLED = {"eval", "exec", "compile", "__import__", "import_module", "importlib.import_module"} | {
    "torch.load",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
}
#: What a command's module may import before the command runs: `foretell --help` must stay quick.
CLI_TOP_LEVEL = {"typer", "pipeline.core.errors", "pipeline.cli"}
MAX_LINES = 400


def violations(path: PurePosixPath, source: str) -> list[str]:
    """Return what a source file does against the rules; ``path`` is relative to pipeline/."""
    tree = ast.parse(source)
    found = [message for module, line in imports(tree) for message in import_violations(path, module, line)]
    found += [f"{path}:{line}: {name}() is never called" for name, line in calls(tree) if name in NEVER_CALLED]
    found += [f"{path}:{line}: allow_pickle" for name, line in keywords(tree) if name == "allow_pickle"]
    if path.parts[0] == "cli":
        top_level = [pair for node in outside_functions(tree) for pair in imports(node)]
        found += [f"{path}:{line}: {m} imported at top level" for m, line in top_level if not is_light(m)]
    n_lines = source.count("\n")
    if n_lines > MAX_LINES:
        found.append(f"{path}: {n_lines} lines, more than {MAX_LINES}")
    return found


def import_violations(path: PurePosixPath, module: str, line: int) -> Iterator[str]:
    """Yield what is wrong with importing ``module`` from ``path``."""
    place = f"{path}:{line}"
    library, _, rest = module.partition(".")
    if library == "":
        yield f"{place}: relative import"
    elif library in NEVER_IMPORTED:
        yield f"{place}: {library} is never imported"
    elif library in ONLY_IN and not {str(path), *map(str, path.parents)} & ONLY_IN[library]:
        yield f"{place}: {library} is imported only in {', '.join(sorted(ONLY_IN[library]))}"
    elif library == "pipeline" and rest:
        folder, target = path.parts[0], rest.partition(".")[0]
        if folder not in MAY_IMPORT:
            yield f"{place}: {folder} has no line in the import rule"
        elif target not in MAY_IMPORT[folder] | {folder}:
            yield f"{place}: {folder} may not import {target}"


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield every imported module with its line, inside functions too; relative ones start with a dot."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "pipeline" and not node.level:
            yield from ((f"pipeline.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or ""), node.lineno


def outside_functions(tree: ast.AST) -> Iterator[ast.stmt]:
    """Yield the import statements that run when a module is imported."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from outside_functions(node)


def calls(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the written name of everything called, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def keywords(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the name of every keyword argument, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.lineno


def is_light(module: str) -> bool:
    """Say whether a command's module may import this at top level."""
    parts = module.split(".")
    allowed = CLI_TOP_LEVEL | sys.stdlib_module_names
    return any(".".join(parts[:n]) in allowed for n in range(1, len(parts) + 1))


def test_every_file_keeps_the_rules(repository: Path) -> None:
    root = repository / "pipeline"
    files = {PurePosixPath(path.relative_to(root)): path for path in root.rglob("*.py")}
    assert len(files) > 20
    assert {path.parts[0] for path in files} >= {"core", "flow", "forecast", "cli", "runtime"}
    assert [m for path, file in files.items() for m in violations(path, file.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("path", "source", "message"),
    [
        ("streams/a.py", "from pipeline.forecast.bank import Bank", "streams/a.py:1: streams may not import forecast"),
        ("streams/a.py", "def f():\n    import pipeline.flow", "streams/a.py:2: streams may not import flow"),
        ("core/a.py", "from pipeline import sinks", "core/a.py:1: core may not import sinks"),
        ("sinks/a.py", "import pipeline.sources.mqtt", "sinks/a.py:1: sinks may not import sources"),
        ("flow/a.py", "from pipeline.runtime.session import Session", "flow/a.py:1: flow may not import runtime"),
        ("attic/a.py", "import pipeline.core.clock", "attic/a.py:1: attic has no line in the import rule"),
        ("core/a.py", "from . import clock", "core/a.py:1: relative import"),
        ("core/a.py", "from .clock import Clock", "core/a.py:1: relative import"),
        (
            "runtime/a.py",
            "def f():\n    import torch.nn",
            "runtime/a.py:2: torch is imported only in ",
        ),
        ("forecast/bank.py", "import torch", "forecast/bank.py:1: torch is imported only in forecast/by_"),
        ("sinks/alerts.py", "import paho.mqtt.client", "sinks/alerts.py:1: paho is imported only in "),
        ("runtime/a.py", "import prometheus_client", "runtime/a.py:1: prometheus_client is imported only in sinks"),
        ("core/a.py", "import pickle", "core/a.py:1: pickle is never imported"),
        ("core/a.py", "x = eval('1')", "core/a.py:1: eval() is never called"),
        ("core/a.py", "import yaml\nyaml.load('')", "core/a.py:2: yaml.load() is never called"),
        (
            "forecast/by_torch/a.py",
            "import torch\ntorch.load('x')",
            "forecast/by_torch/a.py:2: torch.load() is never called",
        ),
        ("core/a.py", "numpy.load('x', allow_pickle=True)", "core/a.py:1: allow_pickle"),
        ("cli/a.py", "import numpy", "cli/a.py:1: numpy imported at top level"),
        ("cli/a.py", "if True:\n    import pipeline.core.settings", "cli/a.py:2: pipeline.core.settings imported at"),
        ("core/a.py", "\n" * 401, "core/a.py: 401 lines, more than 400"),
    ],
)
def test_a_violation_is_found_and_named(path: str, source: str, message: str) -> None:
    found = violations(PurePosixPath(path), source)
    assert len(found) == 1
    assert found[0].startswith(message)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("forecast/by_torch/a.py", "import torch\nfrom pipeline.core.records import F64\nmodel.eval()"),
        ("sources/mqtt.py", "import paho.mqtt.client"),
        ("runtime/a.py", "from pipeline.sinks.exporter import Exporter\nfrom pipeline.flow.engine import update"),
        ("cli/a.py", "import collections.abc\nimport typer\nfrom pipeline.core.errors import UsageError"),
        ("cli/a.py", "def f():\n    from pipeline.runtime.session import Session"),
        ("cli/a.py", "if TYPE_CHECKING:\n    from pipeline.core.settings import Settings"),
    ],
)
def test_what_the_rules_allow_is_not_reported(path: str, source: str) -> None:
    assert violations(PurePosixPath(path), source) == []
