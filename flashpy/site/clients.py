"""Around the sites: who asks, when a proxy hands the request on, and whether this client may ask now.

Stands before all that answers, so that nothing that is prepared is given to who has asked too often. Where no proxy is
trusted and no rate is set, it is not there.
"""

from math import ceil

from flashpy.access.forwarding import Forwarding
from flashpy.access.guard import NO_STORE
from flashpy.access.rates import Rates
from flashpy.http.request import Request
from flashpy.http.response import Response
from flashpy.metrics import Metrics
from flashpy.now import Now
from flashpy.resource.answer import Answer
from flashpy.resource.errors import ErrorPages
from flashpy.site.plan import SERVER
from flashpy.site.sites import Answering

TOO_MANY = 429
"""The status for who asks too often (RFC 6585, 4)."""


class ClientsSite:
    """Answers clients by who they are (site.sites.Answering)."""

    __slots__ = ("_errors", "_forwarding", "_metrics", "_now", "_rates", "_site")

    def __init__(
        self, site: Answering, forwarding: Forwarding | None, rates: Rates | None, now: Now, metrics: Metrics
    ) -> None:
        self._site = site
        self._forwarding = forwarding
        self._rates = rates
        self._now = now
        self._metrics = metrics
        self._errors = ErrorPages(SERVER)

    def answer(self, request: Request, client: str) -> Answer:
        """See Answering. ``client`` is who has connected. A trusted proxy that does not say whom it asks for has no
        rate, for it may be many."""
        forwarding = self._forwarding
        if forwarding is not None:
            client = forwarding.client_of(request, client)
        if self._rates is not None and not (forwarding is not None and forwarding.trusts(client)):
            wait = self._rates.take(client, self._now.monotonic)
            if wait:
                self._metrics.requests_limited += 1
                retry_after = (b"Retry-After", b"%d" % ceil(wait))
                return self._errors.answer(request, TOO_MANY, (retry_after, *NO_STORE))
        return self._site.answer(request, client)

    def failure(self, request: Request, status: int = 500) -> Response:
        """See Answering."""
        return self._site.failure(request, status)

    def snapshot(self) -> dict[str, object]:
        """See Answering."""
        return self._site.snapshot()
