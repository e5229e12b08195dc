"""What is shipped for containers and systemd: unprivileged, complete, and as systemd's own tools would have it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

#: What systemd-analyze may call the unit's exposure at most.
MOST_EXPOSURE = 1.5


def systemd(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed; on Debian: apt-get install systemd")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


#: The services of each composition.
COMPOSITIONS = {
    "compose.yaml": {"mosquitto", "foretell", "prometheus", "alertmanager", "grafana", "simulator"},
    "compose.scale.yaml": {"mosquitto", "bridge", "spark-master", "spark-worker", "job"},
}


#: What each takes at least from beside it.
N_FILES = {"compose.yaml": 6, "compose.scale.yaml": 1}


def compose(repository: Path, name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((repository / "docker" / name).read_text("utf-8")))


def test_the_unit_is_hardened(repository: Path) -> None:
    done = systemd("security", "--offline=true", str(repository / "docker" / "foretell.service"))
    exposure = re.search(r"Overall exposure level for foretell.service: ([\d.]+)", done.stdout)
    assert exposure is not None, done.stdout + done.stderr
    assert float(exposure[1]) <= MOST_EXPOSURE


def test_the_unit_is_valid(repository: Path, tmp_path: Path) -> None:
    text = (repository / "docker" / "foretell.service").read_text("utf-8")
    unit = tmp_path / "foretell.service"
    # Only what is installed can be verified: another program and an existing document stand in.
    text = text.replace("/opt/foretell/venv/bin/foretell", sys.executable)
    unit.write_text(text)
    done = systemd("verify", "--recursive-errors=no", str(unit))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_every_container_is_unprivileged(repository: Path, composition: str) -> None:
    services = compose(repository, composition)["services"]
    assert services.keys() == COMPOSITIONS[composition]
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_everything_that_is_mounted_is_there(repository: Path, composition: str) -> None:
    described = compose(repository, composition)
    mounts = [each.split(":")[0] for service in described["services"].values() for each in service.get("volumes", [])]
    files = [mount for mount in mounts if mount.startswith(".")]
    assert len(files) >= N_FILES[composition]
    docker = repository / "docker"
    assert [file for file in files if "secrets" not in file and not (docker / file).exists()] == []
    assert {mount for mount in mounts if not mount.startswith(".")} == described["volumes"].keys()


@pytest.mark.parametrize(("dockerfile", "n_copied"), [("Dockerfile", 3), ("Dockerfile.scale", 1)])
def test_what_an_image_copies_is_there_and_it_runs_as_nobody(repository: Path, dockerfile: str, n_copied: int) -> None:
    text = (repository / "docker" / dockerfile).read_text("utf-8")
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    assert len(copied) == n_copied
    assert [name for line in copied for name in line.split() if not (repository / name).exists()] == []
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE)[-1] == "1000:1000"


def test_grafana_is_provisioned_with_the_committed_dashboards(repository: Path) -> None:
    folder = repository / "docker" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text("utf-8"))["datasources"]
    assert (source["type"], "uid" in source) == ("prometheus", False)
    (provider,) = yaml.safe_load((folder / "dashboards" / "foretell.yml").read_text("utf-8"))["providers"]
    mounts = compose(repository, "compose.yaml")["services"]["grafana"]["volumes"]
    assert f"../dashboards:{provider['options']['path']}:ro" in mounts


def test_the_shell_completes_commands(repository: Path) -> None:
    words = os.environ | {"_FORETELL_COMPLETE": "complete_bash", "COMP_WORDS": "foretell do", "COMP_CWORD": "1"}
    script = "import sys; sys.argv[0] = 'foretell'; from pipeline.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=repository, env=words, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["doctor"]
