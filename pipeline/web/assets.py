"""The files that browsers get: page, style, scripts, and uPlot, which draws the charts. Nothing from elsewhere.

Comes in: the files of this package. Goes out: responses, and texts for a report. A content security policy lets
browsers load scripts and styles of our own alone, and speak to nobody else.
"""

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from importlib.resources import files

from pipeline.sinks.http_text import Response

#: What a browser may do with the page.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
#: Path on the endpoint -> file of ``static``.
PATHS: Mapping[str, str] = {
    "/": "page.html",
    "/page/page.css": "page.css",
    "/page/page.js": "page.js",
    "/page/charts.js": "charts.js",
    "/page/icon.svg": "icon.svg",
    "/page/uPlot.css": "vendor/uPlot.min.css",
    "/page/uPlot.js": "vendor/uPlot.iife.min.js",
}


@cache
def text_of(name: str) -> str:
    """Return a file of ``static`` as text."""
    return (files("pipeline.web") / "static" / name).read_text("utf-8")


def asset(path: str) -> Response:
    """Return the answer for one of ``PATHS``.

    Example:
        >>> asset("/page/charts.js").content_type
        'text/javascript; charset=utf-8'
    """
    name = PATHS[path]
    kind = _TYPES[name[name.rindex(".") :]]
    return Response(HTTPStatus.OK, f"{kind}; charset=utf-8", text_of(name).encode(), HEADERS)
