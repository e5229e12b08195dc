"""`foretell init` writes a configuration that `foretell check-config` accepts."""

import sys
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.core.edge_settings import Section
from pipeline.core.settings import Settings, parse_settings


class Foretell:
    """Runs the command line in this process and keeps what it printed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch = monkeypatch
        self.capsys = capsys
        self.out = self.err = ""

    def __call__(self, *arguments: str | Path) -> int:
        """Return the exit code."""
        self.monkeypatch.setattr(sys, "argv", ["foretell", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        self.out, self.err = self.capsys.readouterr()
        return int(ended.value.code or 0)


@pytest.fixture
def foretell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Foretell:
    return Foretell(monkeypatch, capsys)


def fields_of(section: type[Section]) -> list[tuple[list[str], str]]:
    """Return the comment lines and key of every setting, sections within sections included."""
    found: list[tuple[list[str], str]] = []
    for key, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            found += fields_of(field.annotation)
        else:
            found.append(([str(field.title), *filter(None, [field.description])], key))
    return found


def test_init_prints_every_setting_with_its_title_at_its_default(foretell: Foretell) -> None:
    assert foretell("init") == 0
    assert parse_settings(foretell.out, "init") == Settings()
    lines = [line.strip() for line in foretell.out.splitlines()]
    for comments, key in fields_of(Settings):
        first = next(i for i, line in enumerate(lines) if line.startswith(f"# {comments[0]}"))
        assert lines[first + 1 : first + len(comments)] == [f"# {comment}" for comment in comments[1:]]
        assert lines[first + len(comments)].startswith(f"{key}:")


def test_init_shows_ranges_and_choices(foretell: Foretell) -> None:
    foretell("init")
    assert "# Broker port. [at least 1, at most 65535; default 1883]" in foretell.out
    assert '[one of "debug", "info", "warning", "error"; default "info"]' in foretell.out


def test_what_init_writes_check_config_accepts(foretell: Foretell, tmp_path: Path) -> None:
    file = tmp_path / "edge.yaml"
    assert foretell("init", "--output", file) == 0
    assert foretell("check-config", "-c", file) == 0
    assert foretell.out.startswith(f"{file}: ok\n")
    assert "sensors/{rest} from 127.0.0.1:1883" in foretell.out
    assert foretell.err == ""


def test_init_overwrites_only_when_told(foretell: Foretell, tmp_path: Path) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text("mine")
    assert foretell("init", "--output", file) == 2
    assert foretell.err == f"foretell: {file}: exists already; give another name, or --force to overwrite it\n"
    assert file.read_text() == "mine"
    assert foretell("init", "--output", file, "--force") == 0
    assert parse_settings(file.read_text(), "init") == Settings()


def test_init_into_a_missing_folder_fails_with_one_line(foretell: Foretell, tmp_path: Path) -> None:
    assert foretell("init", "--output", tmp_path / "none" / "edge.yaml") == 1
    assert foretell.err.startswith("foretell: ")
    assert foretell.err.count("\n") == 1


def test_check_config_prints_the_first_error_as_one_line(foretell: Foretell, tmp_path: Path) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text("mqtt:\n  prot: 1\n")
    assert foretell("check-config", "-c", file) == 2
    assert foretell.err == f"foretell: {file}:2: mqtt.prot is not a setting; did you mean mqtt.port?\n"
    assert foretell.out == ""


def test_check_config_of_a_missing_file_is_wrong_usage(foretell: Foretell, tmp_path: Path) -> None:
    assert foretell("check-config", "-c", tmp_path / "none.yaml") == 2
    assert "no such file" in foretell.err


def test_check_config_says_what_is_switched_off(foretell: Foretell, tmp_path: Path) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text("metrics: {enabled: false}\nalerts: {publish: false}\n")
    assert foretell("check-config", "-c", file) == 0
    assert "alerts   the log\n" in foretell.out
    assert "metrics  off\n" in foretell.out
