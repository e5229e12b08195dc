"""The status page: looks over the daemon's shoulder, and answers browsers.

Comes in: views, readings and alerts, on the worker's thread. Goes out: the page's files, and what it shows as JSON.
What browsers ask is answered from what was last looked at; nothing of the session is touched on their threads, and
what is kept is bounded.
"""

import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from ipaddress import ip_address
from threading import Lock
from typing import Any
from urllib.parse import parse_qs

import numpy as np

from pipeline.core.settings import Settings
from pipeline.runtime.incidents import Told
from pipeline.runtime.onlooker import Onlooker
from pipeline.runtime.recent import newest
from pipeline.runtime.session import FleetView, Session
from pipeline.sinks.alerts import alert, iso_time
from pipeline.sinks.exporter import worst_streams
from pipeline.sinks.http_server import Route
from pipeline.sinks.http_text import Request, Response
from pipeline.web.assets import HEADERS, PATHS, asset
from pipeline.web.document import columns, episodes, streams
from pipeline.web.history import History, Track

#: Episodes that are listed, and alerts whose words are kept.
MAX_EPISODES = 50
MAX_ALERTS = 200
#: Streams that somebody asked for by name are kept for so long, and so many of them.
WANTED_S = 60.0
MAX_WANTED = 20
#: Answers kept, so that several browsers cost little more than one.
_MAX_CACHED = 4
_HOST = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|([^:\[\]]*)(?::\d+)?")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was last looked at; replaced, never changed."""

    view: FleetView | None = None
    tracks: Mapping[str, Track] = field(default_factory=dict)
    told: tuple[Mapping[str, Any], ...] = ()
    revision: int = 0


class StatusPage(Onlooker):
    """Keeps what the page shows, and serves it.

    Args:
        settings: All settings; ``page`` says how much.
    """

    def __init__(self, settings: Settings) -> None:
        self._site = settings.site
        self._n_most = settings.page.max_streams
        # Over TLS no other site's name leads here with a certificate that fits.
        self._hosts = None if settings.metrics.web_config_file else {"localhost", *settings.page.hosts}
        self._history = History()
        self._told: OrderedDict[str, Mapping[str, Any]] = OrderedDict()
        self._seen = _Seen()
        self._lock = Lock()
        self._wanted: OrderedDict[str, float] = OrderedDict()
        self._cached: OrderedDict[tuple[int, int, str], tuple[Mapping[str, Any], bytes]] = OrderedDict()
        self._status: Callable[[], Mapping[str, Any]] = dict
        self._alerts: Callable[[], Mapping[str, Any]] = dict

    def take(self, told: Told) -> None:
        """Keep the words of alerts, newest last."""
        for each in told.alerts:
            episode = each.event.episode
            self._told[episode] = alert(each, self._site)
            self._told.move_to_end(episode)
            while len(self._told) > MAX_ALERTS:
                self._told.popitem(last=False)

    def look(self, session: Session, view: FleetView) -> None:
        """Keep the last readings of the streams that are worst, and of those that were asked for."""
        live = session.state.table.live
        index = {view.names[i]: i for i in worst_streams(view.score, view.is_open, self._n_most).tolist()}
        wanted = self._asked_for()
        if wanted:
            number = {name: i for i, name in enumerate(view.names)}
            index |= {name: number[name] for name in wanted if name in number}
        self._history.replace(
            (name, int(view.n_readings[i]), partial(newest, session, int(live[i]))) for name, i in index.items()
        )
        self._seen = _Seen(view, self._history.tracks, tuple(self._told.values()), self._history.revision)

    def routes(
        self, status: Callable[[], Mapping[str, Any]], alerts: Callable[[], Mapping[str, Any]]
    ) -> dict[str, Route]:
        """Return the page's paths."""
        self._status, self._alerts = status, alerts
        files: dict[str, Route] = {path: self._guarded(lambda request: asset(request.path)) for path in PATHS}
        return files | {
            "/page/fleet.json": self._guarded(self._fleet),
            "/page/stream.json": self._guarded(self._stream),
        }

    def _guarded(self, route: Route) -> Route:
        """Return a route that answers only to this machine's own names: another site's script learns nothing."""
        return lambda request: route(request) if self._is_ours(request.headers.get("host", "")) else _MISDIRECTED

    def _is_ours(self, host: str) -> bool:
        if self._hosts is None:
            return True
        match = _HOST.fullmatch(host)
        name = (match[1] or match[2]).lower() if match else ""
        return name in self._hosts or _is_address(name)

    def _fleet(self, request: Request) -> Response:
        """Answer the overview; ``since`` leaves out sparklines that are known, ``find`` chooses streams by name."""
        text = _asked(request, "since")
        since = int(text) if re.fullmatch(r"[0-9]{1,15}", text) else -1
        find = _asked(request, "find").lower()[:128]
        seen, alerts = self._seen, self._alerts()
        key = (seen.revision, since, find)
        with self._lock:
            made_of, body = self._cached.get(key, (None, b""))
        if made_of is not alerts:  # what operators say shows at once
            body = _json(self._overview(seen, alerts, since, find))
            with self._lock:
                self._cached[key] = (alerts, body)
                while len(self._cached) > _MAX_CACHED:
                    self._cached.popitem(last=False)
        return Response(HTTPStatus.OK, "application/json", body, HEADERS)

    def _overview(self, seen: _Seen, alerts: Mapping[str, Any], since: int, find: str) -> dict[str, Any]:
        status, view = self._status(), seen.view
        chosen = self._chosen(view, find) if view is not None else []
        if find and view is not None:
            self._want([view.names[i] for i in chosen[:MAX_WANTED]])
        listed = alerts.get("alerts", ())
        shown = episodes(view, seen.told, listed, MAX_EPISODES) if view is not None else []
        return {
            "revision": seen.revision,
            "at": iso_time(time.time()),
            "site": self._site,
            "foretell": status.get("foretell"),
            "ready": status.get("ready"),
            "why": status.get("why"),
            "n_streams": len(view.names) if view is not None else 0,
            "n_open": len(view.episodes) if view is not None else 0,
            "n_unfit": status.get("health", {}).get("n_streams", 0),
            "n_most": self._n_most,
            "streams": streams(view, chosen, seen.tracks, since) if view is not None else [],
            "episodes": [_brief(each) for each in shown],
        }

    def _chosen(self, view: FleetView, find: str) -> list[int]:
        """Return the streams to show: the worst of all, or of those whose name holds a text."""
        if not find:
            return [int(i) for i in worst_streams(view.score, view.is_open, self._n_most)]
        found = np.array([i for i, name in enumerate(view.names) if find in name.lower()], np.int64)
        order = worst_streams(view.score[found], view.is_open[found], self._n_most)
        return [int(i) for i in found[order]]

    def _stream(self, request: Request) -> Response:
        """Answer one stream with all that is kept of it."""
        name = _asked(request, "name")
        seen = self._seen
        view = seen.view
        if view is None or name not in view.names:
            return Response.text(HTTPStatus.NOT_FOUND, "no such stream\n", HEADERS)
        self._want([name])
        (row,) = streams(view, [view.names.index(name)], {})
        track = seen.tracks.get(name)
        history = columns(track.evidence) if track is not None else None
        listed = self._alerts().get("alerts", ())
        own = [each for each in episodes(view, seen.told, listed, MAX_ALERTS) if each["stream"] == name]
        body = _json({**row, "history": history, "episodes": own})
        return Response(HTTPStatus.OK, "application/json", body, HEADERS)

    def _want(self, names: list[str]) -> None:
        """Note that somebody looks at these streams."""
        with self._lock:
            for name in names:
                self._wanted[name] = time.monotonic()
                self._wanted.move_to_end(name)
            while len(self._wanted) > MAX_WANTED:
                self._wanted.popitem(last=False)

    def _asked_for(self) -> list[str]:
        """Return the streams that somebody looked at of late."""
        with self._lock:
            since_s = time.monotonic() - WANTED_S
            self._wanted = OrderedDict((name, at_s) for name, at_s in self._wanted.items() if at_s > since_s)
            return list(self._wanted)


_MISDIRECTED = Response.text(
    HTTPStatus.MISDIRECTED_REQUEST, "call this machine by its address, or name it in page.hosts\n", HEADERS
)


def _asked(request: Request, name: str) -> str:
    """Return a field of the query; empty where there is none, or too many fields."""
    try:
        return parse_qs(request.query, max_num_fields=4).get(name, [""])[0]
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _brief(episode: Mapping[str, Any]) -> dict[str, Any]:
    """Return an episode without its readings."""
    return {key: value for key, value in episode.items() if key != "evidence"}


def _json(value: Any) -> bytes:  # noqa: ANN401 - plain values
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode() + b"\n"
