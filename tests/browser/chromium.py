"""A headless Chromium that tests drive by the DevTools protocol: pages, clicks, media, screenshots, requests."""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

LIMIT_S = 60.0
FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    # Whatever it should ask for by itself: no name leads anywhere.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "about:blank",
)


class Browser:
    """One tab.

    Attributes:
        requests: Addresses that the tab asked for, in order.
        complaints: What it wrote to its console as an error, and exceptions of scripts.
    """

    def __init__(self, program: str, folder: Path) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._n = 0
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        command = [program, *root, f"--user-data-dir={folder}", *FLAGS]
        with (folder / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            self._socket = self._dial(folder / "DevToolsActivePort")
        except BaseException:
            self._end()
            raise
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.tell(f"{domain}.enable")

    def _dial(self, file: Path) -> ClientConnection:
        deadline = time.monotonic() + LIMIT_S
        while not (file.exists() and file.read_text().count("\n")):
            assert self._process.poll() is None, "Chromium ended"
            assert time.monotonic() < deadline, "Chromium did not start"
            time.sleep(0.05)
        port, path = file.read_text().split("\n")[:2]
        with connect(f"ws://127.0.0.1:{port}{path}", max_size=None, proxy=None, ping_interval=None) as whole:
            whole.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
            targets = json.loads(whole.recv(LIMIT_S))["result"]["targetInfos"]
        tab = next(each["targetId"] for each in targets if each["type"] == "page")
        return connect(f"ws://127.0.0.1:{port}/devtools/page/{tab}", max_size=None, proxy=None, ping_interval=None)

    def tell(self, method: str, **parameters: Any) -> Any:  # noqa: ANN401 - JSON
        """Call a method of the protocol and return its result."""
        self._n += 1
        self._socket.send(json.dumps({"id": self._n, "method": method, "params": parameters}))
        while True:
            said = json.loads(self._socket.recv(LIMIT_S))
            if said.get("id") == self._n:
                assert "error" not in said, said
                return said["result"]
            self._note(said)

    def _note(self, said: dict[str, Any]) -> None:
        what = said.get("params", {})
        if said["method"] == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])
        elif said["method"] == "Runtime.exceptionThrown":
            self.complaints.append(str(what["exceptionDetails"]))
        elif said["method"] == "Log.entryAdded" and what["entry"]["level"] == "error":
            self.complaints.append(what["entry"]["text"])

    def run(self, script: str) -> Any:  # noqa: ANN401 - JSON
        """Return the value of an expression, a promise's included."""
        done = self.tell("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait_for(self, script: str, limit_s: float = LIMIT_S) -> float:
        """Return after how many seconds an expression became true."""
        began = time.monotonic()
        while not self.run(script):
            assert time.monotonic() - began < limit_s, f"waited in vain until {script}"
            time.sleep(0.05)
        return time.monotonic() - began

    def open(self, url: str) -> None:
        """Load a page."""
        self.tell("Page.navigate", url=url)
        self.wait_for(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'")

    def look(self, width: int, height: int, *, is_dark: bool = False, is_phone: bool = False) -> None:
        """Set the size of the window, and which colours its user prefers."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone}
        self.tell("Emulation.setDeviceMetricsOverride", **size)
        feature = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.tell("Emulation.setEmulatedMedia", features=[feature])

    def press(self, key: str) -> None:
        """Press and release a key."""
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        self.tell("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, **text)
        self.tell("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)

    def serious_faults(self, axe: str) -> list[str]:
        """Return what axe-core finds, serious or critical."""
        if not self.run("typeof axe === 'object'"):
            self.run(f"{axe}; 0")
        found = self.run("axe.run({resultTypes: ['violations']}).then((found) => found.violations)")
        return [
            f"{each['id']}: {each['nodes'][0]['html'][:200]}"
            for each in found
            if each["impact"] in {"serious", "critical"}
        ]

    def picture(self) -> bytes:
        """Return what is seen, as PNG."""
        return base64.b64decode(self.tell("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._end()

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium with one empty tab."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("Chromium is not installed; on Debian: apt-get install chromium")
    browser = Browser(program, tmp_path_factory.mktemp("chromium"))
    try:
        yield browser
    finally:
        browser.close()


@pytest.fixture(scope="session")
def axe(repository: Path) -> str:
    """axe-core's script."""
    return (repository / "tests" / "vendor" / "axe.min.js").read_text("utf-8")


@pytest.fixture
def keep_picture(repository: Path) -> Callable[[str, bytes], None]:
    """Write a picture to docs/ where ``FORETELL_PICTURES=write`` asks for it."""

    def keep(name: str, png: bytes) -> None:
        if os.environ.get("FORETELL_PICTURES") == "write":
            (repository / "docs" / name).write_bytes(png)

    return keep
