"""Files: GET and HEAD of what lies beneath a root, from the three caches or by a job.

The way of a request: the pathname cache leads from the path to a translation, that to a representation (the header
cache), that to a content (the file cache). Where one is missing, the answer is a job, and the job's result comes back
with the request; the answer is then made from the result, not from another look into the caches, so that an entry
that was evicted meanwhile cannot make a request loop.
"""

import os
from functools import partial
from typing import NamedTuple

from flashpy.buffers import Aggregate
from flashpy.cache.file import Content, FileCache
from flashpy.cache.header import HeaderCache, Representation, Variant, header_cache
from flashpy.cache.pathname import PathnameCache, Translation, pathname_cache
from flashpy.http import ranges
from flashpy.http.coding import SUFFIXES, choose
from flashpy.http.conditional import Verdict, evaluate, range_applies
from flashpy.http.request import Request
from flashpy.http.response import FieldList, Head, Response, fixed
from flashpy.http.target import NO_FILE, hidden, quote_path, quote_query
from flashpy.job.kinds import KNOWN, Check, Job, Outcome, Result, Runner, Translate
from flashpy.now import Now
from flashpy.resource.errors import ErrorPages
from flashpy.resource.media import media_type
from flashpy.settings import CacheSection, SiteSection

_CODINGS = {suffix: coding for coding, suffix in SUFFIXES.items()}
_STATUS = {
    Outcome.MISSING: 404,
    Outcome.FORBIDDEN: 403,
    Outcome.NO_DESCRIPTORS: 503,
    Outcome.LATE: 503,
    Outcome.FAILED: 500,
}
_CERTAIN = frozenset({Outcome.FILE, Outcome.UNCHANGED, Outcome.DIRECTORY, Outcome.MISSING, Outcome.FORBIDDEN})
"""Outcomes that say something of the file, rather than of the server's own state."""


class _Found(NamedTuple):
    """What a request leads to, held here whether or not the caches keep it."""

    translation: Translation
    representation: Representation | None
    content: Content | None


class Files:
    """The resource that serves one root."""

    __slots__ = (
        "_cache",
        "_errors",
        "_extra",
        "_files",
        "_headers",
        "_now",
        "_pathnames",
        "_ranges",
        "_runner",
        "_site",
        "_template",
    )

    def __init__(
        self,
        site: SiteSection,
        cache: CacheSection,
        runner: Runner,
        now: Now,
        errors: ErrorPages,
        max_ranges: int,
    ) -> None:
        self._site = site
        self._cache = cache
        self._runner = runner
        self._now = now
        self._errors = errors
        self._extra = errors.extra
        self._ranges = max_ranges
        self._pathnames: PathnameCache = pathname_cache(cache.pathname_entries, cache.pathname_bytes)
        self._headers: HeaderCache = header_cache(cache.header_entries, cache.header_bytes)
        self._files = FileCache(cache.file_entries, cache.file_bytes, cache.descriptors)
        self._template = Translate(
            roots=tuple(os.fsencode(os.path.abspath(root)) for root in (site.root, *site.allowed_roots)),
            path=b"/",
            index_names=tuple(os.fsencode(name) for name in site.index),
            suffixes=tuple(SUFFIXES[coding.encode()] for coding in site.precompressed),
            small=cache.small_file,
        )

    def answer(self, request: Request, result: Result | None = None) -> Response | Job:
        """Answer a GET or HEAD; ``result`` is that of the job which was the answer before."""
        if result is not None:
            return self._conclude(request, result)
        entry = self._pathnames.get(request.path)
        if entry is None:
            return self._first_sight(request)
        entry.used = True
        if entry.fresh_until < self._now.monotonic and not self._may_serve(entry):
            return _job(entry)
        representation = entry.representation
        if (
            request.plain
            and representation is not None
            and (whole := representation.whole) is not None
            and not entry.suffixes
        ):
            representation.used = True
            representation.content.used = True  # type: ignore[union-attr]  # where ``whole`` is, content is
            return whole
        return self._serve(request, _held(entry))

    def snapshot(self) -> dict[str, object]:
        """How full the caches are."""
        return {
            "pathnames": len(self._pathnames),
            "pathname_bytes": self._pathnames.cost,
            "headers": len(self._headers),
            "header_bytes": self._headers.cost,
            **self._files.snapshot(),
        }

    # From a path to what is found there

    def _first_sight(self, request: Request) -> Response | Job:
        path = request.path
        if path == NO_FILE or (not self._site.dotfiles and hidden(path)):
            return self._errors.answer(request, 404)
        return self._template._replace(path=path)

    def _may_serve(self, entry: Translation) -> bool:
        """Whether an entry that is past its time may serve once more, while a helper looks again.

        It may within one more ``valid``, and for as long as the look that began then takes. An entry older than that
        has not been asked for lately: nothing vouches for it, so the request waits for the look. So a change is seen
        within ``valid`` and a moment, and what is asked for all the time never waits.
        """
        if entry.revalidating:
            return True
        if entry.representation is None or self._now.monotonic > entry.fresh_until + self._cache.valid:
            return False
        entry.revalidating = True
        job = _job(entry)
        if job.known is None or job.suffixes:
            self._runner.run(job, partial(self._revalidated, entry))
        else:  # most files have not changed: that can be said of many at once
            self._runner.run(Check((job,)), partial(self._checked, entry, job))
        return True

    def _checked(self, entry: Translation, job: Translate, result: Result) -> None:
        if result.outcome is Outcome.LATE or (result.outcome is Outcome.CHECKED and result.body == KNOWN):
            entry.revalidating = False
            entry.fresh_until = self._now.monotonic + self._cache.valid
        else:
            self._runner.run(job, partial(self._revalidated, entry))

    def _revalidated(self, entry: Translation, result: Result) -> None:
        entry.revalidating = False
        if result.outcome in _CERTAIN:
            self._admit(entry.job, entry.coding, result)
        else:  # descriptors are short, or the disk fails: what is known is better than an error
            entry.fresh_until = self._now.monotonic + self._cache.valid

    def _conclude(self, request: Request, result: Result) -> Response | Job:
        if result.outcome not in _CERTAIN:
            return self._errors.answer(request, _STATUS[result.outcome])
        assert isinstance(result.job, Translate)
        job = result.job._replace(known=None)
        coding = None
        if job.path != request.path:  # it was the job of a stored variant
            coding = _CODINGS[b"." + job.path.rpartition(b".")[2]]
        found = self._admit(job, coding, result)
        if found is None:  # unchanged, yet evicted meanwhile: look again, knowing nothing
            return job
        if coding and found.translation.outcome is not Outcome.FILE:  # the variant has gone meanwhile
            entry = self._pathnames.get(request.path)
            if entry is None:  # evicted: ask for the file alone, or a variant that is never readable would make a loop
                return self._template._replace(path=request.path, suffixes=())
            return self._serve(request, _held(entry), negotiate=False)
        return self._serve(request, found)

    def _admit(self, job: Translate, coding: bytes | None, result: Result) -> _Found | None:
        """Take a job's result into the caches. None if it says "unchanged" of what is not there any more."""
        key = job.path if coding is None else b"\0" + job.path
        if coding is None:
            job = job._replace(suffixes=self._template.suffixes)  # the next look is for all variants again
        entry = self._pathnames.get(key)
        old = entry.representation if entry else None
        now = self._now.monotonic
        if result.outcome is Outcome.UNCHANGED:
            if entry is None or old is None or old.content is None or old.identity != result.identity:
                return None
            entry.fresh_until = now + self._cache.valid
            if entry.suffixes == result.suffixes:
                return _held(entry)
            result = result._replace(outcome=Outcome.FILE)  # a variant came or went: other heads, the same content
        if old is not None and old.identity != result.identity:
            self._files.drop(old.identity)
        if result.outcome is not Outcome.FILE:
            life = self._cache.valid if result.outcome is Outcome.DIRECTORY else self._cache.negative_valid
            entry = Translation(job, coding, result, now + life)
            self._pathnames.put(key, entry)
            return _Found(entry, None, None)
        entry = Translation(job, coding, result, now + self._cache.valid)
        representation, content = self._keep(entry, result)
        self._pathnames.put(key, entry)
        return _Found(entry, representation, content)

    def _keep(self, entry: Translation, result: Result) -> tuple[Representation, Content]:
        """The representation and the content of a file that was found, from the caches or new.

        They are linked before the caches get them: so what a budget has no room for is unlinked at once, and nobody
        holds bytes or descriptors that no cache counts.
        """
        identity = result.identity
        assert identity is not None
        held = self._files.get(identity)
        data = result.body if result.body is not None else result.file
        if held is None:
            assert data is not None
            content = Content(identity, data)
        else:
            content = held
        path, coding = entry.job.path, entry.coding
        name = path + result.name if coding is None else path.rpartition(b".")[0]
        variant = Variant(media_type(name), coding, bool(coding or result.suffixes))
        known = self._headers.get((identity, variant))
        representation = known or Representation(identity, variant, self._extra, self._now.wall)
        representation.take_content(content)
        entry.take(representation)
        if known is None:
            self._headers.put((identity, variant), representation)
        if held is None:
            self._files.put(content)
        return representation, content

    # From what is found to an answer

    def _serve(self, request: Request, found: _Found, negotiate: bool = True) -> Response | Job:
        translation, representation, content = found
        if translation.outcome is Outcome.DIRECTORY:
            return self._redirect(request)
        if translation.outcome is not Outcome.FILE:
            return self._errors.answer(request, _STATUS[translation.outcome])
        if translation.suffixes and negotiate:
            variant = self._variant(request, translation)
            if isinstance(variant, Translate):
                return variant
            if variant is not None:
                translation, representation, content = variant
        job = translation.job if negotiate else translation.job._replace(suffixes=())
        if representation is None:
            return job
        if request.unmodified is representation.not_modified:
            return representation.not_modified
        verdict = evaluate(request.fields, representation.validators, self._now.wall)
        if verdict is Verdict.NOT_MODIFIED:
            if b"if-none-match" in request.fields:  # then no date has a say, so it stays true
                request.unmodified = representation.not_modified
            return representation.not_modified
        if verdict is Verdict.FAILED:
            return self._errors.answer(request, 412)
        if request.method == b"HEAD":
            return representation.head_only
        if content is None:
            return job
        return self._content(request, representation, content)

    def _variant(self, request: Request, translation: Translation) -> _Found | Translate | None:
        """The stored variant that the request prefers, the job that finds it, or None for the file itself."""
        available = [_CODINGS[suffix] for suffix in translation.suffixes]
        coding = choose(request.fields.get(b"accept-encoding"), available)
        if coding is None:
            return None
        path = translation.job.path + translation.name + SUFFIXES[coding]
        entry = self._pathnames.get(b"\0" + path)
        if entry is None:
            return translation.job._replace(path=path, suffixes=())
        entry.used = True
        if entry.fresh_until < self._now.monotonic and not self._may_serve(entry):
            return _job(entry)
        return _held(entry) if entry.outcome is Outcome.FILE else None

    def _redirect(self, request: Request) -> Response:
        """To the form with the closing slash; a path only, so that no Host can be reflected (RFC 9110, 10.2.2)."""
        query = b"?" + quote_query(request.query) if request.query else b""
        location = quote_path(request.path) + b"/" + query
        return fixed(301, (*self._extra, (b"Location", location)))

    def _content(self, request: Request, representation: Representation, content: Content) -> Response:
        """200, 206 or 416 (RFC 9110, 14.2: Range counts only for GET, and after the conditions)."""
        whole = representation.whole or representation.answer_with(content)
        value = request.fields.get(b"range")
        if value is None or not range_applies(request.fields, representation.validators, self._now.wall):
            return whole
        size = representation.identity.size
        try:
            spans = ranges.select(value, size, self._ranges)
        except ranges.Unsatisfiable:
            return self._errors.answer(request, 416, ((b"Content-Range", b"bytes */%d" % size),))
        if spans is None:
            return whole
        media = representation.variant.media_type
        fields: FieldList
        if len(spans) == 1:
            body: Aggregate = (ranges.cut(content.data, spans[0]),)
            length = spans[0].length
            fields = ((b"Content-Type", media), (b"Content-Range", ranges.content_range(spans[0], size)))
        else:
            boundary = b"flashpy-%s" % os.urandom(12).hex().encode()
            body, length = ranges.multipart(content.data, spans, size, media, boundary)
            fields = ((b"Content-Type", b"multipart/byteranges; boundary=" + boundary),)
        head = Head(206, (*representation.fields, *fields, (b"Content-Length", b"%d" % length)))
        return Response(head, body)


def _held(entry: Translation) -> _Found:
    representation = entry.representation
    return _Found(entry, representation, representation.content if representation else None)


def _job(entry: Translation) -> Translate:
    """The job that looks again; what is known and at hand need not be opened again."""
    representation = entry.representation
    if representation is None or representation.content is None:
        return entry.job
    return entry.job._replace(known=representation.identity)
