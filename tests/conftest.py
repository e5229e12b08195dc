"""Fixtures that several tests share: one torch thread, the recordings, a real mosquitto, certificates."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Before anything imports torch: one thread, so the same sums in the same order, and no fight over cores.
os.environ["OMP_NUM_THREADS"] = "1"

# The same examples in every run, and no clock in the verdict: a loaded machine fails no test.
settings.register_profile("foretell", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("foretell")

pytest_plugins = ("chromium",)

REPOSITORY = Path(__file__).resolve().parent.parent
START_S = 20.0
#: Debian keeps daemons where an ordinary user's PATH does not look.
SBIN = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


class Mosquitto:
    """A real broker of our own on a loopback port; it can be stopped and started again on the same port.

    Attributes:
        host: Loopback address.
        port: TCP port, the same over restarts.
        log: File with everything the broker printed.
    """

    def __init__(self, program: str, folder: Path, settings: str) -> None:
        self.host = "127.0.0.1"
        self.port = free_port()
        self.log = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        self._command = [program, "-c", str(self._config)]
        self._process: subprocess.Popen[bytes] | None = None
        # Started by root, mosquitto 2 drops to its own user, who cannot enter pytest's folder: stay root there.
        user = "user root\n" if os.geteuid() == 0 else ""
        self._config.write_text(f"listener {self.port} {self.host}\nlog_dest stderr\n{settings}\n{user}")

    def start(self) -> None:
        """Start the broker and return when it accepts connections."""
        if self._process is not None:
            raise RuntimeError("already started")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"mosquitto did not start:\n{self.log.read_text()}")
            time.sleep(0.02)

    def send_signal(self, number: int) -> None:
        """Send the broker a signal; after SIGKILL it is gone, and may be started again."""
        if self._process is None:
            raise RuntimeError("not started")
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End the broker (SIGTERM, so that it saves its sessions) and return when it is gone."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(START_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return False
        return True


#: What the tests' broker is told besides its port: open to all on loopback, and nothing is dropped early.
OPEN_BROKER = """
allow_anonymous true
persistence true
persistence_location {folder}/
max_queued_messages 100000
max_inflight_messages 1000
"""


def free_port() -> int:
    """Return a free port from below the range that the kernel hands out, so that it stays free over a restart."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in its own
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests with a broker one after the other: they measure, and daemons of their own keep the cores busy.

    Of the others, those of a file of tests/integration share what they set up: minutes of runs over recordings.
    """
    for item in items:
        if item.get_closest_marker("broker"):
            item.add_marker(pytest.mark.xdist_group("broker"))
        elif item.path.parent.name == "integration":
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(autouse=True)
def _state_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Daemons that tests start keep their state in a folder of that test, never in the user's."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path_factory.getbasetemp() / f"state-{secrets.token_hex(4)}"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository's root folder."""
    return REPOSITORY


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of public recordings; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("FORETELL_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}; set FORETELL_DATA to their folder")
    return folder


@pytest.fixture
def broker_with(tmp_path: Path) -> Iterator[Callable[[str], Mosquitto]]:
    """Start brokers with given settings, ``{folder}`` standing for a folder of their own.

    Without mosquitto the test is skipped, or fails when CI=true.
    """
    program = shutil.which("mosquitto", path=SBIN)
    if program is None:
        missing = "mosquitto is not installed; on Debian: apt-get install mosquitto"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    started: list[Mosquitto] = []

    def start(settings: str) -> Mosquitto:
        folder = tmp_path / f"mosquitto-{len(started)}"
        folder.mkdir()
        broker = Mosquitto(program, folder, settings.replace("{folder}", str(folder)))
        started.append(broker)
        broker.start()
        return broker

    yield start
    for broker in started:
        broker.stop()


@pytest.fixture
def mosquitto(broker_with: Callable[[str], Mosquitto]) -> Mosquitto:
    """A running mosquitto, open to all on its loopback port."""
    return broker_with(OPEN_BROKER)


def make_certificate(folder: Path, name: str, authority: str = "ca") -> None:
    """Write NAME.pem and NAME.key, signed by an authority of the same folder; by itself where the names are equal."""
    key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-keyout",
        str(folder / f"{name}.key"),
    ]
    common = [
        "openssl",
        "req",
        "-x509",
        *key,
        "-subj",
        f"/CN={name}",
        "-days",
        "2",
        "-out",
        str(folder / f"{name}.pem"),
    ]
    if name != authority:
        signer = ["-CA", str(folder / f"{authority}.pem"), "-CAkey", str(folder / f"{authority}.key")]
        names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
        common += [*signer, "-addext", names, "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run(common, check=True, capture_output=True)
    (folder / f"{name}.key").chmod(0o600)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with certificates of an authority ``ca``: ``server`` and ``client``; ``stranger`` signed itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed; on Debian: apt-get install openssl")
    folder = tmp_path_factory.mktemp("certificates")
    make_certificate(folder, "ca")
    for name in ("server", "client"):
        make_certificate(folder, name)
    make_certificate(folder, "stranger", "stranger")
    return folder
