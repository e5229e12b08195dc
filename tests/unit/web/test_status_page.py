"""The status page: what it answers, to whom, and how much it keeps."""

import json
import re
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.alert_records import Alert
from pipeline.core.records import EpisodeEvent, Event, Readings
from pipeline.core.settings import Settings, parse_settings
from pipeline.runtime.incidents import Told
from pipeline.runtime.session import Session
from pipeline.sinks.http_text import Request, Response, parse_head
from pipeline.web import history
from pipeline.web.assets import POLICY, text_of
from pipeline.web.page import MAX_ALERTS, MAX_WANTED, StatusPage

OWN = {"host": "127.0.0.1:9464"}
STATIC = ("page.html", "page.js", "charts.js", "page.css")


class Watched:
    """A page over a session of a few streams, without a daemon."""

    def __init__(self, n_streams: int = 3, text: str = "") -> None:
        self.settings = parse_settings(text, "test")
        self.session = Session(self.settings)
        self.page = StatusPage(self.settings)
        self.names = [f"press-{i}/oil" for i in range(n_streams)]
        self.alerts: dict[str, Any] = {"alerts": []}
        status = {"ready": True, "why": "ready", "health": {"n_streams": 0}}
        self.routes = self.page.routes(lambda: status, lambda: self.alerts)
        self.n = 0

    def feed(self, n: int) -> None:
        """Give every stream ``n`` readings, a minute apart, and let the page look."""
        size = len(self.names)
        steps = np.repeat(np.arange(self.n, self.n + n), size)
        stream = np.tile(np.arange(size, dtype=np.int32), n)
        time = 60.0 * steps.astype(np.float64)
        value = np.sin(time / 1200.0) + stream.astype(np.float64)
        readings = Readings(self.names, stream, time, value, np.zeros(len(steps), np.uint8))
        self.n += n
        self.session.process(readings, self.n * 60.0)
        self.look()

    def look(self) -> None:
        self.page.look(self.session, self.session.view())

    def ask(self, path: str, query: str = "", **headers: str) -> Response:
        return self.routes[path](Request("GET", path, OWN | headers, query=query))

    def json(self, path: str, query: str = "") -> Any:  # noqa: ANN401 - JSON
        answer = self.ask(path, query)
        assert answer.status == HTTPStatus.OK
        return json.loads(answer.body)


def opened(episode: str, stream: str = "press-0/oil") -> Told:
    event = EpisodeEvent(Event.OPEN, stream, episode, 60.0, 60.0, 9.0, 60.0, 5.0, 1.0, 0.5, 1.5, 7.0, "residual")
    return Told([Alert(event, summary="strange", text="very strange")], [])


def test_the_overview_has_verdicts_and_sparklines_and_leaves_out_what_is_known() -> None:
    watched = Watched()
    watched.feed(80)
    fleet = watched.json("/page/fleet.json")
    assert [row["name"] for row in fleet["streams"]] == watched.names
    assert {row["verdict"] for row in fleet["streams"]} == {"warming up"}
    spark = fleet["streams"][1]["spark"]
    assert spark.keys() == {"time", "value", "forecast", "lower", "upper"}
    assert len(spark["value"]) == 64
    assert spark["value"][-1] == pytest.approx(fleet["streams"][1]["value"])
    again = watched.json("/page/fleet.json", f"since={fleet['revision']}")
    assert not any("spark" in row for row in again["streams"])
    watched.feed(1)
    assert all("spark" in row for row in watched.json("/page/fleet.json", f"since={fleet['revision']}")["streams"])


def test_a_stream_has_a_long_history_whose_newest_part_is_foretold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "N_READINGS", 128)
    watched = Watched()
    watched.feed(150)
    kept = watched.json("/page/stream.json", "name=press-2/oil")["history"]
    assert kept["time"] == [60.0 * i for i in range(22, 150)]
    assert kept["lower"][:64] == [None] * 64
    assert None not in kept["lower"][64:]
    for n in (30, 90):  # more at once than the engine keeps forecasts of
        watched.feed(n)
        kept = watched.json("/page/stream.json", "name=press-2/oil")["history"]
        numbers = range(watched.n - 128, watched.n)
        assert kept["time"] == [60.0 * i for i in numbers]
        assert kept["value"] == pytest.approx([np.sin(i / 20.0) + 2 for i in numbers])


def test_only_the_worst_streams_are_kept_and_those_that_are_asked_for() -> None:
    watched = Watched(40, "page: {max_streams: 5}")
    watched.feed(10)
    fleet = watched.json("/page/fleet.json")
    assert (fleet["n_streams"], len(fleet["streams"])) == (40, 5)
    shown = {row["name"] for row in fleet["streams"]}
    (other, *_) = sorted(set(watched.names) - shown)
    assert watched.json("/page/stream.json", f"name={other}")["history"] is None
    watched.look()
    assert len(watched.json("/page/stream.json", f"name={other}")["history"]["time"]) == 10
    found = watched.json("/page/fleet.json", "find=PRESS-3")["streams"]
    assert len(found) == 5
    assert all("press-3" in row["name"] for row in found)
    for name in watched.names:
        watched.ask("/page/stream.json", f"name={name}")
    watched.look()
    assert len(watched.page._history.tracks) <= 5 + MAX_WANTED  # noqa: SLF001 - the bound is the point


def test_words_of_alerts_are_bounded_and_shown_with_their_stream() -> None:
    watched = Watched()
    watched.feed(3)
    for i in range(MAX_ALERTS + 5):
        watched.page.take(opened(f"{i:016x}"))
    assert len(watched.page._told) == MAX_ALERTS  # noqa: SLF001 - the bound is the point
    watched.look()
    assert watched.json("/page/fleet.json")["episodes"] == []  # no stream says that one is open


def test_what_operators_said_shows_at_once_and_of_alerts_before_the_start_too() -> None:
    watched = Watched()
    watched.feed(3)
    assert watched.json("/page/fleet.json")["episodes"] == []
    old = {"episode": "1" * 16, "stream": "press-1/oil", "state": "closed", "at": "2026-03-01T10:00:00.000Z"}
    watched.alerts = {"alerts": [old | {"acknowledged_by": "ann"}]}
    (shown,) = watched.json("/page/fleet.json")["episodes"]
    assert (shown["event"], shown["acknowledged_by"]) == ("close", "ann")
    assert watched.json("/page/stream.json", "name=press-1/oil")["episodes"] == [shown]
    assert watched.json("/page/stream.json", "name=press-2/oil")["episodes"] == []


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:9464", "", "[::1", "127.0.0.1.evil.example"])
def test_another_sites_name_for_this_machine_is_refused(host: str) -> None:
    watched = Watched()
    watched.feed(1)
    for path in watched.routes:
        assert watched.ask(path, host=host).status == HTTPStatus.MISDIRECTED_REQUEST


@pytest.mark.parametrize("host", ["127.0.0.1:9464", "LOCALHOST:9464", "[::1]:9464", "192.0.2.7", "box.example:80"])
def test_own_names_and_addresses_are_answered(host: str) -> None:
    watched = Watched(text="page: {hosts: [box.example]}")
    assert watched.ask("/", host=host).status == HTTPStatus.OK


@pytest.mark.parametrize(
    "query", ["since=-3", "since=x&find=%00", "since=" + "9" * 40, "name=%", "a=1;b=2", "since", "a=1&" * 9]
)
def test_odd_queries_are_answered_or_not_found(query: str) -> None:
    watched = Watched()
    watched.feed(1)
    assert watched.ask("/page/fleet.json", query).status == HTTPStatus.OK
    assert watched.ask("/page/stream.json", query).status == HTTPStatus.NOT_FOUND


def test_before_the_first_look_there_is_an_empty_page() -> None:
    watched = Watched()
    assert watched.json("/page/fleet.json")["streams"] == []
    assert watched.ask("/page/stream.json", "name=x").status == HTTPStatus.NOT_FOUND


def test_every_answer_carries_the_policy_and_a_type() -> None:
    watched = Watched()
    for path in watched.routes:
        answer = watched.ask(path)
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.content_type.partition(";")[0] in {
            "text/html",
            "text/css",
            "text/javascript",
            "image/svg+xml",
            "application/json",
            "text/plain",
        }
    assert "unsafe" not in POLICY


@pytest.mark.parametrize("name", STATIC)
def test_our_files_put_no_markup_together_and_name_no_other_host(name: str) -> None:
    text = text_of(name)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|Function\(|javascript:", text)
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    if name.endswith(".html"):
        assert not re.search(r"<script(?! src=\"/page/)|<style|\son\w+=|\sstyle=", text)
        assert all(path in Watched().routes for path in re.findall(r"(?:src|href)=\"(/[^\"]*)\"", text))


def test_the_vendored_library_is_the_one_that_is_noted(repository: Path) -> None:
    note = (repository / "pipeline" / "web" / "static" / "vendor" / "README.md").read_text("utf-8")
    version = re.search(r"uPlot (\d+\.\d+\.\d+)", note)
    assert version is not None
    assert f"v{version[1]}" in text_of("vendor/uPlot.iife.min.js")[:100]
    assert "MIT" in text_of("vendor/uPlot-LICENSE")


def test_a_query_is_kept_apart_from_the_path() -> None:
    request = parse_head(b"GET /page/stream.json?name=a/b HTTP/1.1\r\nHost: x")
    assert (request.path, request.query) == ("/page/stream.json", "name=a/b")


def test_the_page_is_off_by_one_setting() -> None:
    assert Settings().page.enabled
    assert not parse_settings("page: {enabled: false}", "test").page.enabled


def test_answers_are_made_once_for_several_browsers(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched()
    watched.feed(5)
    watched.look()
    first = watched.ask("/page/fleet.json", "since=0").body
    monkeypatch.setattr(watched.page, "_overview", lambda *_: pytest.fail("made twice"))
    assert watched.ask("/page/fleet.json", "since=0").body is first
