"""What a job refuses before anything of Spark is loaded."""

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from pipeline.core.errors import UsageError
from pipeline.core.settings import Settings
from pipeline.flow.sealing import SnapshotError
from pipeline.flow.state import new_model
from pipeline.runtime.configuration import load_settings
from pipeline.scaleout import needed
from pipeline.scaleout.folders import Folders, check_settings
from pipeline.scaleout.weights import publish, read_weights


@pytest.mark.parametrize("missing", ["pyspark", "google.protobuf"])
def test_a_library_that_is_missing_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    def find(name: str) -> ModuleSpec | None:
        if name == missing == "google.protobuf":
            raise ModuleNotFoundError(name)
        return None if name == missing else ModuleSpec(name, None)

    monkeypatch.setattr(needed, "find_spec", find)
    with pytest.raises(UsageError, match=rf"{missing} is not installed; pip install 'foretell\[spark\]'"):
        needed.require_spark()


@pytest.mark.parametrize(
    ("forecast", "problem"),
    [
        ({"sharing": "stream"}, "forecast.sharing: stream: shards score with one network"),
        (
            {"sharing": "fleet", "context": [{"stream": "*/flow", "inputs": ["{device}/valve"]}]},
            "forecast.context: a stream's context may be in another shard",
        ),
    ],
)
def test_settings_that_shards_cannot_keep_are_refused(forecast: dict[str, object], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        check_settings(Settings.model_validate({"forecast": forecast}))


def test_the_committed_configuration_can_be_kept(repository: Path) -> None:
    settings = load_settings(repository / "configs" / "scale.yaml")
    check_settings(settings)
    assert Folders.of(settings).output.name == "live"


def test_networks_are_never_put_before_others_nor_read_when_damaged(tmp_path: Path) -> None:
    settings = Settings.model_validate({"forecast": {"sharing": "fleet"}})
    version = publish(tmp_path, new_model(settings), 10)
    with pytest.raises(UsageError, match="in force from position 10 on already"):
        publish(tmp_path, new_model(settings), 10)
    path = tmp_path / version.name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(SnapshotError, match="its checksum does not agree"):
        read_weights(tmp_path, settings, version.name)
