"""The sites of a server: which of them answers, by Host (RFC 9110, 7.2 and 7.4)."""

from collections.abc import Callable
from typing import Protocol

from flashpy.access.attempts import Attempts
from flashpy.http.request import Request
from flashpy.http.response import Response
from flashpy.job.kinds import Runner
from flashpy.now import Now
from flashpy.resource.answer import Answer
from flashpy.resource.caches import Caches
from flashpy.resource.errors import ErrorPages
from flashpy.routing.hosts import Hosts
from flashpy.settings import Config
from flashpy.site.plan import SERVER
from flashpy.site.site import Site

MISDIRECTED = 421
"""The status for a Host that is none of ours (RFC 9110, 15.5.20)."""


class Answering(Protocol):
    """What answers requests."""

    def answer(self, request: Request, client: str) -> Answer:
        """The answer to a request of this client (its address), or the job that is needed first."""
        ...

    def failure(self, request: Request, status: int = 500) -> Response:
        """The answer when a request cannot be answered as it should."""
        ...

    def snapshot(self) -> dict[str, object]:
        """How full the caches are."""
        ...


def answering(config: Config, runner: Runner, now: Now) -> Answering:
    """What answers by this configuration: one site, or several by Host."""
    caches = Caches(config.cache)
    attempts = Attempts()
    sites = [
        Site(section, caches, config.limits, runner, now, attempts, tag=b"%d" % number if number else b"")
        for number, section in enumerate(config.all_sites)
    ]
    if len(sites) == 1 and not config.site.hosts:
        return sites[0]
    return Sites(Hosts([(section.hosts, site) for section, site in zip(config.all_sites, sites, strict=True)]), caches)


def known_hosts(config: Config) -> Callable[[bytes], bool]:
    """What tells whether there is a site for a host (``Request.host``)."""
    find = Hosts([(section.hosts, True) for section in config.all_sites]).find
    return lambda host: find(host) is not None


class Sites:
    """Several sites, which share the caches."""

    __slots__ = ("_caches", "_errors", "_find")

    def __init__(self, hosts: Hosts[Site], caches: Caches) -> None:
        self._caches = caches
        self._errors = ErrorPages(SERVER)
        self._find = hosts.find

    def answer(self, request: Request, client: str) -> Answer:
        """See Answering. A fault comes first: then nothing that the request says is certain."""
        if request.fault:
            return self._errors.answer(request, request.fault)
        site = self._find(request.host)
        if site is None:
            return self._errors.answer(request, MISDIRECTED)
        return site.answer(request, client)

    def failure(self, request: Request, status: int = 500) -> Response:
        """See Answering."""
        return self._errors.answer(request, status)

    def snapshot(self) -> dict[str, object]:
        """See Answering."""
        return self._caches.snapshot()
