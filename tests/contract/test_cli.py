"""`foretell --help` answers quickly because nothing heavy is imported for it."""

import subprocess
import sys
from pathlib import Path

HEAVY = {
    "torch",
    "numpy",
    "scipy",
    "river",
    "pydantic",
    "yaml",
    "paho",
    "prometheus_client",
    "pyarrow",
    "matplotlib",
} | {
    "amqtt",
    "rich",
}
SCRIPT = """
import sys
from pipeline.cli.main import main
sys.argv = ["foretell", *sys.argv[1:]]
try:
    main()
finally:
    print("imported:", *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def help_of(repository: Path, *arguments: str) -> tuple[str, set[str]]:
    """Run ``foretell ... --help`` in a process of its own; return what it printed and what it had imported."""
    command = [sys.executable, "-c", SCRIPT, *arguments, "--help"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    text, _, imported = done.stdout.rpartition("imported: ")
    return text, set(imported.split())


def test_help_imports_nothing_heavy_and_lists_every_command(repository: Path) -> None:
    text, imported = help_of(repository)
    assert imported & HEAVY == set()
    assert "typer" in imported
    for command in (
        "demo",
        "run",
        "replay",
        "what-if",
        "init",
        "check-config",
        "doctor",
        "status",
        "explain-message",
        "record",
        "bridge",
        "simulate",
        "bench",
        "scale",
    ):
        assert f" {command} " in text


def test_the_help_of_every_command_is_light_and_shows_an_example(repository: Path) -> None:
    for command in (
        "demo",
        "run",
        "replay",
        "what-if",
        "init",
        "check-config",
        "doctor",
        "status",
        "explain-message",
        "record",
        "bridge",
        "bench",
    ):
        text, imported = help_of(repository, command)
        assert imported & HEAVY <= {"pydantic"}, command  # typer's own, for the types of options
        assert f"foretell {command}" in text.partition("Options")[0].partition("Usage")[2].partition("\n")[2], command
