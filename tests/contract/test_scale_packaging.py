"""What is shipped for scaling out: one configuration for bridge and job; the rest is in test_packaging."""

from pathlib import Path

import yaml

from pipeline.runtime.configuration import load_settings
from pipeline.scaleout.folders import Folders, check_settings


def test_bridge_job_and_workers_share_configuration_and_folder(repository: Path) -> None:
    services = yaml.safe_load((repository / "docker" / "compose.scale.yaml").read_text("utf-8"))["services"]
    settings = load_settings(repository / "docker" / "scale.yaml")
    check_settings(settings)
    folder = Folders.of(settings).log.parent.as_posix()
    for name in ("bridge", "spark-worker", "job"):
        assert f"scale:{folder}" in services[name]["volumes"], name
    assert settings.scale.master == "spark://spark-master:7077"
    assert settings.mqtt.host in services
    assert services["bridge"]["command"] == ["bridge", "-c", "/etc/foretell/scale.yaml"]


def test_executors_have_one_core_each(repository: Path) -> None:
    lines = (repository / "docker" / "spark-defaults.conf").read_text("utf-8").splitlines()
    told = dict(line.split() for line in lines if line and not line.startswith("#"))
    assert told["spark.executor.cores"] == "1"
    assert all(key.startswith("spark.") for key in told)
