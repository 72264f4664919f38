"""Development reload: pages that load themselves again when the server says that a file has changed.

Around a site, which knows nothing of it: pages get a script at their end, which listens to ``/-/reload``. All answers
are for this moment only, so that what is loaded again is what is there.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from flashpy.buffers import Endless
from flashpy.http.conditional import CONDITIONS
from flashpy.http.request import Block, Request
from flashpy.http.response import Head, Response, fixed
from flashpy.resource.answer import Answer, then
from flashpy.site.plan import SERVER
from flashpy.site.sites import Answering

STREAM, SCRIPT = b"/-/reload", b"/-/reload.js"
_NOW = (b"Cache-Control", b"no-cache")
_TAG = b'\n<script src="/-/reload.js" async></script>\n'
_ALTERING = CONDITIONS | {b"accept-encoding"}
_OF_THE_FILE = frozenset({b"etag", b"last-modified", b"accept-ranges", b"content-length", b"cache-control"})

_JAVASCRIPT = b"""(() => {
  const source = new EventSource("/-/reload");
  let lost = false;
  source.onerror = () => { lost = true; };
  source.onopen = () => { if (lost) location.reload(); };
  source.onmessage = (event) => { if (event.data === "styles") restyle(); else location.reload(); };

  function restyle() {
    for (const link of document.querySelectorAll('link[rel~="stylesheet"]')) {
      const url = new URL(link.href);
      if (url.origin !== location.origin) continue;
      url.searchParams.set("-reload", Date.now());
      const fresh = link.cloneNode();
      fresh.addEventListener("load", () => link.remove());
      fresh.href = url.href;
      link.after(fresh);
    }
  }
})();
"""


class ReloadingSite:
    """A site whose pages reload themselves (site.sites.Answering). ``take`` is given the connections of those who
    listen, unless it ``is_full``."""

    __slots__ = ("_is_full", "_script", "_site", "_take")

    def __init__(self, site: Answering, take: Callable[[Any, str], None], is_full: Callable[[], bool]) -> None:
        self._site = site
        self._take = take
        self._is_full = is_full
        kind = (b"Content-Type", b"text/javascript; charset=utf-8")
        head = Head(200, (*SERVER, kind, (b"Content-Length", b"%d" % len(_JAVASCRIPT)), _NOW))
        self._script = Response(head, (_JAVASCRIPT,))

    def answer(self, request: Request, client: str) -> Answer:
        """See Answering."""
        if request.method not in (b"GET", b"HEAD") or request.fault:
            return self._site.answer(request, client)
        if request.path == STREAM:
            return self._stream(request)
        if request.path == SCRIPT:
            return self._script if request.method == b"GET" else Response(self._script.head)
        whole = _unconditional(request)
        return then(self._site.answer(whole, client), partial(self._refine, request, client, whole))

    def failure(self, request: Request, status: int = 500) -> Response:
        """See Answering."""
        return self._site.failure(request, status)

    def snapshot(self) -> dict[str, object]:
        """See Answering."""
        return self._site.snapshot()

    def _stream(self, request: Request) -> Response:
        if self._is_full():
            return fixed(503, (*SERVER, (b"Retry-After", b"5")))
        head = Head(200, (*SERVER, (b"Content-Type", b"text/event-stream"), (b"Cache-Control", b"no-store")))
        return Response(head, (Endless(self._take),) if request.method == b"GET" else (), close=True)

    def _refine(self, request: Request, client: str, whole: Request, response: Response) -> Answer:
        """A page with the script. What is none is asked for once more, as the client has asked for it."""
        if _is_page(response):
            return _with_script(request, response)
        if whole is request or response.head.status != 200:
            return _uncached(response)
        return then(self._site.answer(request, client), _uncached)


def _unconditional(request: Request) -> Request:
    """The same request for the whole of what there is, as it is: a page is to be sent with more at its end."""
    fields = request.fields
    if not _ALTERING & fields.keys():
        return request
    kept = {name: value for name, value in fields.items() if name not in _ALTERING}
    block = request.block
    return Request(request.line, Block(kept, block.keep_alive, b"expect" not in kept, block.has_body))


def _is_page(response: Response) -> bool:
    fields = {name.lower(): value for name, value in response.head.fields}
    kind = fields.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if response.head.status != 200 or kind != b"text/html":
        return False
    return b"content-length" in fields and b"content-encoding" not in fields


def _with_script(request: Request, response: Response) -> Response:
    """Behind all that is there: parsers take what follows </html> for a part of the body. It is not the file any more,
    so it has neither its validators nor ranges."""
    fields = response.head.fields
    length = next(int(value) for name, value in fields if name.lower() == b"content-length") + len(_TAG)
    kept = [field for field in fields if field[0].lower() not in _OF_THE_FILE]
    head = Head(200, (*kept, (b"Content-Length", b"%d" % length), _NOW))
    return Response(head, (*response.body, _TAG) if request.method == b"GET" else (), response.close)


def _uncached(response: Response) -> Response:
    head = response.head
    kept = (field for field in head.fields if field[0].lower() != b"cache-control")
    return Response(Head(head.status, (*kept, _NOW)), response.body, response.close)
