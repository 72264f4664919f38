"""Cross-origin resource sharing: which sites' scripts may read answers (the Fetch standard, "CORS protocol").

Where every origin, or one alone, may read, the fields are the same for every request (``static``), and belong into
the prepared head. With a list they depend on the request's Origin: then ``static`` is ``Vary: Origin``, which every
answer must have, the one to a request without Origin too, and ``fields_for`` gives the rest.

CORS guards nothing: it is browsers that obey, and who is no browser reads all the same.
"""

import re
from collections.abc import Sequence

from flashpy.http.fields import tokens
from flashpy.http.request import Request
from flashpy.http.response import FieldList

REQUEST_FIELDS = ("If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Range")
"""What scripts may send by default: all that a file's answer depends on."""

RESPONSE_FIELDS = ("Accept-Ranges", "Content-Encoding", "Content-Range", "Date", "ETag")
"""What scripts may see by default, beside what they always may."""

MAX_AGE = 7_200
"""Seconds for which a browser may remember a preflight's answer; none keeps it longer than a day."""

MOST_REMEMBERED = 256
LONGEST_ORIGIN = 512
"""Origins whose fields are kept, and their length in bytes at most: a host has 253."""

_METHODS = (b"Access-Control-Allow-Methods", b"GET, HEAD")
_CREDENTIALS = (b"Access-Control-Allow-Credentials", b"true")
_VARY = (b"Vary", b"Origin")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[a-z0-9_.*-]+)(?::([0-9]{1,5}|\*))?")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_DEFAULT_PORTS = {("http", "80"), ("https", "443")}
_LABELS = r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*"


class Cors:
    """The CORS protocol for a site, or for a part of it."""

    __slots__ = ("_credentials", "_every_header", "_exact", "_globs", "_headers", "_preflight", "_remembered", "static")

    def __init__(
        self,
        origins: Sequence[str],
        headers: Sequence[str] = REQUEST_FIELDS,
        expose: Sequence[str] = RESPONSE_FIELDS,
        max_age: int = MAX_AGE,
        credentials: bool = False,
    ) -> None:
        """``origins`` are written ``https://example.org``, with ``*`` for any labels of the host or any port, or are
        ``*`` for every site, or ``null``. ``headers`` are the fields that scripts may send, or ``*``; ``expose`` those
        of answers that they may see. ``credentials`` lets them ask as the user (cookies, passwords).

        Raises:
            ValueError: they cannot be used, or would let every site ask as the user; its text is a sentence.
        """
        every = "*" in origins
        if credentials and (every or "null" in origins):
            raise ValueError("With credentials each origin must be named, or every site could read as the user.")
        for name in (*headers, *expose):
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"{name!r} is no field name.")
        named = [] if every else [_compile(origin, credentials) for origin in origins]
        self._exact = frozenset(origin for origin in named if isinstance(origin, bytes))
        self._globs = tuple(origin for origin in named if not isinstance(origin, bytes))
        self._credentials = credentials
        self._every_header = "*" in headers
        self._headers = frozenset(name.lower().encode() for name in headers)
        self._preflight: FieldList = (_METHODS, (b"Access-Control-Max-Age", b"%d" % max_age))
        exposed: FieldList = ((b"Access-Control-Expose-Headers", ", ".join(expose).encode()),) if expose else ()
        self._remembered: dict[bytes, FieldList] | None = None
        self.static: FieldList = ()
        if every:
            self.static = ((b"Access-Control-Allow-Origin", b"*"), *exposed)
        elif len(self._exact) == 1 and not self._globs:  # it may be sent to whoever asks: browsers compare
            self.static = (*self._allow(next(iter(self._exact))), *exposed)
        elif named:
            self.static = (_VARY, *exposed)
            self._remembered = {}

    @property
    def per_request(self) -> bool:
        """Whether ``fields_for`` has to be asked for a request that has an Origin."""
        return self._remembered is not None

    def fields_for(self, origin: bytes | None) -> FieldList:
        """What an answer has besides ``static``, for a request with this Origin."""
        remembered = self._remembered
        if origin is None or remembered is None:
            return ()
        fields = remembered.get(origin)
        if fields is None:
            fields = self._allow(origin) if self._allows(origin) else ()
            if len(origin) <= LONGEST_ORIGIN:
                if len(remembered) >= MOST_REMEMBERED:
                    remembered.clear()
                remembered[origin] = fields
        return fields

    def preflight(self, request: Request) -> FieldList | None:
        """All fields of the 204 that answers a preflight; None if the request is none.

        A browser asks so before it sends what it would not send without a script, and never with credentials: so it is
        answered before any of those are asked for. What is not allowed is not in the answer, and the browser sees that.
        """
        fields = request.fields
        origin = fields.get(b"origin")
        if request.method != b"OPTIONS" or origin is None or b"access-control-request-method" not in fields:
            return None
        allowed = (*self.static, *self.fields_for(origin))
        answer = tuple(field for field in allowed if field[0] != b"Access-Control-Expose-Headers")
        if not any(name == b"Access-Control-Allow-Origin" for name, _ in allowed):
            return answer
        wanted = self._wanted(fields.get(b"access-control-request-headers", b""))
        headers: FieldList = ((b"Access-Control-Allow-Headers", wanted),) if wanted else ()
        return (*answer, *self._preflight, *headers)

    def _wanted(self, value: bytes) -> bytes:
        """Those of the fields that a script wants to send which it may. They are named even where all may be sent:
        ``*`` would leave out Authorization, and mean nothing with credentials."""
        names = [name for name in tokens(value) if _TOKEN.fullmatch(name.decode("latin-1"))]
        return b", ".join(name for name in names if self._every_header or name in self._headers)

    def _allow(self, origin: bytes) -> FieldList:
        allowed = (b"Access-Control-Allow-Origin", origin)
        return (allowed, _CREDENTIALS) if self._credentials else (allowed,)

    def _allows(self, origin: bytes) -> bool:
        if origin in self._exact:
            return True
        return len(origin) <= LONGEST_ORIGIN and any(glob.fullmatch(origin) for glob in self._globs)


def _compile(origin: str, credentials: bool) -> bytes | re.Pattern[bytes]:
    """One origin as browsers write it (RFC 6454, 6.2), or what matches those that are meant."""
    if origin == "null":
        return b"null"
    match = _ORIGIN.fullmatch(origin.lower())
    if match is None:
        raise ValueError(f"{origin!r} is no origin; write it as https://example.org, without a path.")
    scheme, host, port = match.groups()
    if host == "*":
        if credentials:
            raise ValueError(f"{origin} is every site; with credentials name those that may read as the user.")
    elif re.search(r"\*(?!\.[a-z0-9_-])", host):
        raise ValueError(f"{origin} would allow other people's hosts; after a * there must be a dot and a name.")
    where = "" if port is None or (scheme, port) in _DEFAULT_PORTS else f":{port}"
    if "*" not in host + where:
        return f"{scheme}://{host}{where}".encode()
    hosts = _LABELS.join(re.escape(part) for part in host.split("*"))
    ports = where.replace("*", "[0-9]{1,5}") if port != "*" else "(?::[0-9]{1,5})?"
    return re.compile(f"{re.escape(scheme)}://{hosts}{ports}".encode())
