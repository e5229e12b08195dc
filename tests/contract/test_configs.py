"""Every committed configuration loads, and the example is the one that the program writes."""

from pathlib import Path

from pipeline.core.settings import Settings
from pipeline.runtime.configuration import load_settings
from pipeline.runtime.example import example_config


def test_every_committed_configuration_loads(repository: Path) -> None:
    files = [*(repository / "configs").glob("*.yaml"), repository / "docker" / "edge.yaml"]
    assert len(files) > 1
    for file in files:
        load_settings(file)


def test_the_committed_example_is_what_init_prints(repository: Path) -> None:
    remedy = "run: foretell init --force --output configs/edge.yaml"
    assert (repository / "configs" / "edge.yaml").read_text("utf-8") == example_config(), remedy


def test_the_example_loads_to_the_defaults(repository: Path) -> None:
    assert load_settings(repository / "configs" / "edge.yaml") == Settings()
