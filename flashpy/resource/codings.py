"""Content codings made on the fly: by a helper, once for each version of a file, and then from a cache."""

from collections.abc import Callable
from functools import partial

from flashpy.buffers import Slice
from flashpy.cache.coded import Coded, coded_of, key_of
from flashpy.cache.file import Content
from flashpy.cache.header import Link, Representation
from flashpy.http.coding import refuses_identity
from flashpy.http.request import Request
from flashpy.http.response import Response
from flashpy.job.kinds import LEVELS, Encode, Result, Runner
from flashpy.now import Now
from flashpy.resource.answer import Answer, Pending
from flashpy.resource.caches import Caches
from flashpy.resource.semantics import Semantics

PROMPT = 256 * 1024
"""Bytes up to which a coding is waited for, since it takes some milliseconds; what is larger is sent as it is the first
time."""


class Codings:
    """Answers in codings for which there is no stored sibling."""

    __slots__ = ("_caches", "_now", "_runner", "_semantics")

    def __init__(self, caches: Caches, runner: Runner, now: Now, semantics: Semantics) -> None:
        self._caches = caches
        self._runner = runner
        self._now = now
        self._semantics = semantics

    def answer(
        self, request: Request, plain: Representation, content: Content, coding: bytes, otherwise: Callable[[], Answer]
    ) -> Answer:
        """The answer in a coding of what is at hand. Otherwise, if the coded form is no smaller, cannot be had (helpers
        are busy, or it has failed), or takes so long that it is made for those who come later."""
        link = plain.coded.get(coding)
        if link is not None and (known := link.representation) is not None and known.content is not None:
            known.used = known.content.used = True
            answer = self._semantics.answer(request, known, known.content)
            assert answer is not None  # for the content is at hand
            return answer
        source = content.data.file if isinstance(content.data, Slice) else content.data
        job = Encode(source, plain.identity, coding, LEVELS[coding])
        coded = self._caches.coded.get(key_of(job))
        if coded is not None:
            return self._with(request, plain, coded, coding) or otherwise()
        if plain.identity.size <= PROMPT or refuses_identity(request.fields.get(b"accept-encoding")):
            return Pending(job, partial(self._made, request, plain, otherwise))
        self._runner.run(job, self._keep)
        return otherwise()

    def _made(self, request: Request, plain: Representation, otherwise: Callable[[], Answer], result: Result) -> Answer:
        """Go on with what was waited for."""
        coded = coded_of(result)
        if coded is None:
            return otherwise()
        assert isinstance(result.job, Encode)
        # It is linked before the cache gets it: so what that has no room for is unlinked at once, and nobody holds
        # bytes or descriptors that no cache counts.
        answer = self._with(request, plain, coded, result.job.coding)
        self._caches.coded.put(key_of(result.job), coded)
        return answer or otherwise()

    def _keep(self, result: Result) -> None:
        """What was made for those who come later."""
        assert isinstance(result.job, Encode)
        coded = coded_of(result)
        if coded is not None:
            self._caches.coded.put(key_of(result.job), coded)

    def _with(self, request: Request, plain: Representation, coded: Coded, coding: bytes) -> Response | None:
        coded.used = True
        content = coded.content
        if content is None:
            return None
        variant = plain.variant._replace(coding=coding, encoder=coded.encoder)
        headers = self._caches.headers
        representation = headers.get((content.identity, variant))
        is_new = representation is None
        if representation is None:
            representation = Representation(content.identity, variant, self._now.wall)
        representation.take_content(content)
        representation.used = True
        if plain.users:  # the cache has it: from now on it leads there
            plain.coded.setdefault(coding, Link()).take(representation)
        if is_new:
            headers.put((content.identity, variant), representation)
        return self._semantics.answer(request, representation, content)
