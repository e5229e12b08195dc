"""From a recording to alerts, a picture of one, and what another budget would have told: as a user does it."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

T0 = 1_772_359_200.0
N, FAULT = 1000, 900


def foretell(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", "from pipeline.cli.main import main; main()"]
    return subprocess.run([*command, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def write_recording(folder: Path) -> None:
    """A device with three sensors; two of them jump together."""
    rng = np.random.default_rng(1)
    value = 50 + 5 * np.sin(np.arange(N)[:, None] / 25) + 0.3 * rng.standard_normal((N, 3))
    value[FAULT : FAULT + 20, :2] += 25
    times = (datetime.fromtimestamp(T0 + 60 * i, UTC).isoformat() for i in range(N))
    rows = (",".join([time, *(f"{v:.4f}" for v in own)]) for time, own in zip(times, value.tolist(), strict=True))
    (folder / "boiler.csv").write_text("\n".join(["timestamp,flow,pressure,power", *rows, ""]))
    (folder / "quick.yaml").write_text("site: hall\ndetection: {n_warmup: 200}\ntraining: {steps: 2}\n")


def test_alerts_of_a_recording_are_written_listed_shown_and_decided_anew(tmp_path: Path) -> None:
    write_recording(tmp_path)
    outputs = ("--alerts", "alerts.jsonl", "--scores", "scores.csv")
    played = foretell("replay", "boiler.csv", "-c", "quick.yaml", *outputs, cwd=tmp_path)
    assert (played.returncode, played.stderr) == (0, "")
    alerts = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]
    assert [each["at"] for each in alerts] == sorted(each["at"] for each in alerts)
    at = datetime.fromtimestamp(T0 + 60 * FAULT, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    both = [each for each in alerts if each["event"] == "open" and each["opened_at"] == at]
    assert {each["stream"] for each in both} == {"boiler/flow", "boiler/pressure"}
    assert {(each["site"], each["device"]) for each in both} == {("hall", "boiler")}
    assert len({each["incident"] for each in both}) == 1
    for each in both:
        other = {"boiler/flow": "boiler/pressure", "boiler/pressure": "boiler/flow"}[each["stream"]]
        assert other in [neighbour["stream"] for neighbour in each["neighbours"]]
        assert len(each["evidence"]["value"]) == 64
        assert "higher than foretold" in each["text"]

    listed = foretell("alerts", "list", "--from", "alerts.jsonl", cwd=tmp_path)
    assert all(each["episode"] in listed.stdout for each in alerts)
    shown = foretell("alerts", "show", both[0]["episode"][:8], "--from", "alerts.jsonl", cwd=tmp_path)
    assert shown.returncode == 0
    assert "▲" in shown.stdout
    assert "Surprising at the same time on this device" in shown.stdout

    what_if = ("what-if", "scores.csv", "-c", "quick.yaml", "--budget")
    same = foretell(*what_if, "1 per 30 days", cwd=tmp_path)
    assert (same.returncode, same.stderr) == (0, "")
    assert same.stdout.splitlines()[-1].endswith(" 0 new, 0 gone")


def test_an_alerts_file_of_another_kind_is_refused_before_the_work(tmp_path: Path) -> None:
    write_recording(tmp_path)
    got = foretell("replay", "boiler.csv", "--alerts", "alerts.csv", cwd=tmp_path)
    assert got.returncode == 2
    assert got.stderr == (
        "foretell: --alerts alerts.csv: the suffix names no known format; end it in .jsonl or .ndjson\n"
    )
