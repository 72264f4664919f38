"""What answers where plain HTTP is spoken only to lead to HTTPS."""

from collections.abc import Callable

from flashpy.http.request import Request
from flashpy.http.response import Response, fixed
from flashpy.http.target import NO_FILE, quote_path, quote_query
from flashpy.resource.answer import Answer
from flashpy.resource.errors import ErrorPages
from flashpy.site.plan import SERVER
from flashpy.site.sites import MISDIRECTED, Answering

CHALLENGES = b"/.well-known/acme-challenge/"
"""Where an authority looks before it gives a certificate, by plain HTTP (RFC 8555, 8.3)."""


class ToHttps:
    """Leads to the same address on another port, by HTTPS (a site.sites.Answering); what an authority asks for is
    answered by the site itself."""

    __slots__ = ("_errors", "_knows", "_port", "_site")

    def __init__(self, site: Answering, port: int, knows: Callable[[bytes], bool]) -> None:
        """``knows`` says whether a host is one of ours."""
        self._site = site
        self._knows = knows
        self._port = b"" if port == 443 else b":%d" % port
        self._errors = ErrorPages(SERVER)

    def answer(self, request: Request, client: str) -> Answer:
        """See Answering. To a host that is none of ours nobody is led; a method that may have a body is to be repeated
        as it is (RFC 9110, 15.4.9)."""
        if request.fault or request.path.startswith(CHALLENGES):
            return self._site.answer(request, client)
        host = _without_port(request.host)
        if not host or not request.path.startswith(b"/") or request.path == NO_FILE:
            return self._errors.answer(request, 400)
        if not self._knows(request.host):
            return self._errors.answer(request, MISDIRECTED)
        query = b"?" + quote_query(request.query) if request.query else b""
        location = b"https://" + host + self._port + quote_path(request.path) + query
        return fixed(301 if request.method in (b"GET", b"HEAD") else 308, (*SERVER, (b"Location", location)))

    def failure(self, request: Request, status: int = 500) -> Response:
        """See Answering."""
        return self._site.failure(request, status)

    def snapshot(self) -> dict[str, object]:
        """See Answering."""
        return self._site.snapshot()


def _without_port(host: bytes) -> bytes:
    """A host, which may be an IPv6 address in brackets."""
    name, colon, port = host.rpartition(b":")
    return name if colon and (not port or port.isdigit()) else host
