"""What an admin address answers (a site.sites.Answering): a few addresses, each rendered when it is asked for."""

import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import msgspec

from flashpy.admin.history import History
from flashpy.admin.hosts import is_ours
from flashpy.admin.page import ICON, PAGE, POLICY
from flashpy.admin.page_script import SCRIPT
from flashpy.admin.page_style import STYLE
from flashpy.admin.status import Status
from flashpy.admin.view import view_of
from flashpy.http.fields import preferred
from flashpy.http.request import Request
from flashpy.http.response import FieldList, Head, Response, error, fixed

if TYPE_CHECKING:
    from flashpy.admin.prometheus import Metrics

SILENCE = 10.0
"""Seconds without a word of the supervisor, after which it is taken for stuck: it speaks once a second."""
MISDIRECTED = 421
_JSON, _HTML, _TEXT = b"application/json", b"text/html", b"text/plain; charset=utf-8"
_FIELDS: FieldList = (
    (b"Server", b"flashpy"),
    (b"Cache-Control", b"no-store"),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
    (b"Referrer-Policy", b"no-referrer"),
)
_NO_LIBRARY = "The metrics take a library: pip install 'flashpy-server[metrics]'."

_Route = Callable[[Request], Response]


class AdminSite:
    """Answers by the latest status, which it is told with ``take``. ``hosts`` are names that it may be asked by."""

    def __init__(self, hosts: Collection[str], first: Status) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._history = History()
        self._status = first
        self.take(first)
        self._metrics = _metrics(lambda: self._status)
        self._routes: dict[bytes, _Route] = {
            b"/": self._root,
            b"/-/": self._root,
            b"/-/health": self._health,
            b"/-/ready": self._ready,
            b"/-/metrics": self._prometheus,
            b"/-/status": self._page,
            b"/-/status.json": self._json,
            b"/-/status.css": lambda request: _content(request, b"text/css; charset=utf-8", STYLE.encode()),
            b"/-/status.svg": lambda request: _content(request, b"image/svg+xml", ICON.encode()),
            b"/-/status.js": lambda request: _content(request, b"text/javascript; charset=utf-8", SCRIPT.encode()),
        }

    def take(self, status: Status) -> None:
        """The supervisor has told how all are."""
        self._heard = time.monotonic()
        self._before, self._status = self._status, status
        self._history.add(status.report, self._heard)

    # As a site.sites.Answering

    def answer(self, request: Request, client: str) -> Response:
        """See Answering."""
        if request.fault:
            return self.failure(request, request.fault)
        if not is_ours(request.host, self._hosts):
            return self.failure(request, MISDIRECTED)
        route = self._routes.get(request.path)
        if route is None:
            return self.failure(request, 404)
        if request.method not in (b"GET", b"HEAD"):
            return _error(request, 405, ((b"Allow", b"GET, HEAD"),))
        return route(request)

    def failure(self, request: Request, status: int = 500) -> Response:
        """See Answering."""
        return _error(request, status)

    def snapshot(self) -> dict[str, object]:
        """See Answering. It has no caches."""
        return {}

    # What is answered

    def _root(self, request: Request) -> Response:
        return fixed(303, (*_FIELDS, (b"Location", b"/-/status")))

    def _health(self, request: Request) -> Response:
        """Whether the server lives: the supervisor, without which nobody replaces a worker."""
        if time.monotonic() - self._heard > SILENCE:
            return _sentence(request, 503, "The supervisor has said nothing for long.")
        return _sentence(request, 200, "It lives.")

    def _ready(self, request: Request) -> Response:
        """Whether requests are to be sent here."""
        status = self._status
        if status.ready:
            return _sentence(request, 200, f"{status.serving} of {status.wanted} workers serve.")
        if status.phase != "running":
            return _sentence(request, 503, "What is under way is answered, and nothing else.")
        return _sentence(request, 503, "No worker serves yet.")

    def _prometheus(self, request: Request) -> Response:
        if self._metrics is None:
            return _error(request, 501, advice=_NO_LIBRARY)
        page, kind = self._metrics.page(request.fields.get(b"accept", b"").decode("latin-1"))
        return _content(request, kind.encode(), page, ((b"Vary", b"Accept"),))

    def _page(self, request: Request) -> Response:
        if preferred(request.fields.get(b"accept"), (_JSON, _HTML)) == _JSON:
            return self._json(request, ((b"Vary", b"Accept"),))
        fields = (b"Vary", b"Accept"), (b"Content-Security-Policy", POLICY.encode())
        return _content(request, _HTML + b"; charset=utf-8", PAGE.encode(), fields)

    def _json(self, request: Request, fields: FieldList = ()) -> Response:
        view = view_of(self._status, self._before, self._history, time.monotonic(), time.time())
        return _content(request, _JSON, msgspec.json.encode(view), fields)


def _metrics(latest: Callable[[], Status]) -> "Metrics | None":
    """The page for Prometheus, where the library for it is installed."""
    try:
        from flashpy.admin.prometheus import Metrics
    except ModuleNotFoundError:
        return None
    return Metrics(latest)


def _content(request: Request, kind: bytes, body: bytes, fields: FieldList = (), status: int = 200) -> Response:
    head = Head(status, (*_FIELDS, (b"Content-Type", kind), (b"Content-Length", b"%d" % len(body)), *fields))
    return Response(head, (body,) if request.method != b"HEAD" else ())


def _sentence(request: Request, status: int, text: str) -> Response:
    return _content(request, _TEXT, f"{text}\n".encode(), status=status)


def _error(request: Request, status: int, fields: FieldList = (), advice: str | None = None) -> Response:
    accept = request.fields.get(b"accept")
    with_body = request.method != b"HEAD"
    return error(status, accept, (*_FIELDS, *fields), with_body=with_body, close=bool(request.fault), advice=advice)
