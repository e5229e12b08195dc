"""What is shipped for scaling out: unprivileged, complete, and one configuration for bridge and job."""

import re
from pathlib import Path
from typing import Any

import yaml

from pipeline.runtime.configuration import load_settings
from pipeline.scaleout.folders import Folders, check_settings


def compose(repository: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((repository / "docker" / "compose.scale.yaml").read_text("utf-8")))


def test_every_container_is_unprivileged(repository: Path) -> None:
    services = compose(repository)["services"]
    assert services.keys() == {"mosquitto", "bridge", "spark-master", "spark-worker", "job"}
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_everything_that_is_mounted_or_copied_is_there(repository: Path) -> None:
    docker = repository / "docker"
    described = compose(repository)
    mounts = [each.split(":")[0] for service in described["services"].values() for each in service.get("volumes", [])]
    files = [mount for mount in mounts if mount.startswith(".")]
    assert [file for file in files if "secrets" not in file and not (docker / file).exists()] == []
    assert {mount for mount in mounts if not mount.startswith(".")} == described["volumes"].keys()
    dockerfile = (docker / "Dockerfile.scale").read_text("utf-8")
    (copied,) = re.findall(r"^COPY (\S+) \S+$", dockerfile, re.MULTILINE)
    assert (repository / copied).exists()
    assert dockerfile.index("USER root") < dockerfile.index("USER 1000:1000")


def test_bridge_job_and_workers_share_configuration_and_folder(repository: Path) -> None:
    services = compose(repository)["services"]
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
