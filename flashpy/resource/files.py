"""Files: GET and HEAD of what lies beneath a root, from the three caches or by a job.

The way of a request: the pathname cache leads from the path to a translation, that to a representation (the header
cache), that to a content (the file cache). Where one is missing, the answer waits for a job, and is then made from the
job's result, not from another look into the caches, so that an entry that was evicted meanwhile cannot make a request
loop.
"""

import os
from functools import partial
from typing import NamedTuple

from flashpy.buffers import Aggregate
from flashpy.cache.file import Content
from flashpy.cache.header import Representation, Variant
from flashpy.cache.pathname import Translation
from flashpy.http import ranges
from flashpy.http.coding import SUFFIXES, choose
from flashpy.http.conditional import Verdict, evaluate, range_applies
from flashpy.http.request import Request
from flashpy.http.response import FieldList, Head, Response, fixed
from flashpy.http.target import NO_FILE, quote_path, quote_query
from flashpy.job.kinds import KNOWN, Check, Outcome, Result, Runner, Translate
from flashpy.now import Now
from flashpy.resource.answer import Answer, Pending
from flashpy.resource.caches import Caches
from flashpy.resource.errors import ErrorPages
from flashpy.resource.media import media_type
from flashpy.resource.root import Root

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
        "_caches",
        "_errors",
        "_get",
        "_now",
        "_ranges",
        "_root",
        "_runner",
        "_tag",
        "_template",
        "_valid",
    )

    def __init__(
        self,
        root: Root,
        caches: Caches,
        runner: Runner,
        now: Now,
        errors: ErrorPages,
        max_ranges: int,
    ) -> None:
        self._root = root
        self._caches = caches
        self._get = caches.pathnames.get
        self._valid = caches.settings.valid
        self._runner = runner
        self._now = now
        self._errors = errors
        self._ranges = max_ranges
        self._tag = root.tag
        self._template = Translate(
            roots=root.roots,
            path=b"/",
            index_names=root.index_names,
            suffixes=root.suffixes,
            small=caches.settings.small_file,
        )

    def answer(self, request: Request, path: bytes) -> Answer:
        """Answer a GET or HEAD of what lies at ``path`` beneath the root."""
        entry = self._get(self._tag + path)
        if entry is None:
            return self._first_sight(request, path)
        entry.used = True
        if entry.fresh_until < self._now.monotonic and not self._may_serve(entry):
            return self._look(request, path, entry)
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
        return self._serve(request, path, _held(entry))

    # From a path to what is found there

    def _first_sight(self, request: Request, path: bytes) -> Answer:
        if path == NO_FILE or self._root.hidden(self._root.prefix + path):
            return self._errors.answer(request, 404)
        return Pending(self._template._replace(path=path), partial(self._found, request, path))

    def _look(self, request: Request, path: bytes, entry: Translation) -> Pending:
        """Let the request wait for another look at what an entry is about."""
        return Pending(_job(entry), partial(self._found, request, path))

    def _may_serve(self, entry: Translation) -> bool:
        """Whether an entry that is past its time may serve once more, while a helper looks again.

        It may within one more ``valid``, and for as long as the look that began then takes. An entry older than that
        has not been asked for lately: nothing vouches for it, so the request waits for the look. So a change is seen
        within ``valid`` and a moment, and what is asked for all the time never waits.
        """
        if entry.revalidating:
            return True
        if entry.representation is None or self._now.monotonic > entry.fresh_until + self._valid:
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
            entry.fresh_until = self._now.monotonic + self._valid
        else:
            self._runner.run(job, partial(self._revalidated, entry))

    def _revalidated(self, entry: Translation, result: Result) -> None:
        entry.revalidating = False
        if result.outcome in _CERTAIN:
            self._admit(entry.asked, entry.job, entry.coding, result)
        else:  # descriptors are short, or the disk fails: what is known is better than an error
            entry.fresh_until = self._now.monotonic + self._valid

    def _found(self, request: Request, path: bytes, result: Result) -> Answer:
        """Go on with the translation of what was asked for."""
        if result.outcome not in _CERTAIN:
            return self._errors.answer(request, _STATUS[result.outcome])
        job = self._template._replace(path=path)
        found = self._admit(path, job, None, result)
        if found is None:  # unchanged, yet evicted meanwhile: look again, knowing nothing
            return Pending(job, partial(self._found, request, path))
        return self._serve(request, path, found)

    def _variant_found(self, request: Request, path: bytes, base: _Found, coding: bytes, result: Result) -> Answer:
        """Go on with the translation of a stored variant of what was asked for."""
        if result.outcome not in _CERTAIN:
            return self._errors.answer(request, _STATUS[result.outcome])
        assert isinstance(result.job, Translate)
        job = result.job._replace(known=None)
        found = self._admit(path, job, coding, result)
        if found is None:
            return Pending(job, partial(self._variant_found, request, path, base, coding))
        if found.translation.outcome is not Outcome.FILE:  # the variant has gone meanwhile
            return self._serve(request, path, base, negotiate=False)
        return self._represent(request, path, found)

    def _key(self, path: bytes, coding: bytes | None) -> bytes:
        return self._tag + path if coding is None else b"\0%b\0%b%b" % (coding, self._tag, path)

    def _admit(self, asked: bytes, job: Translate, coding: bytes | None, result: Result) -> _Found | None:
        """Take a job's result into the caches. None if it says "unchanged" of what is not there any more."""
        key = self._key(asked, coding)
        if coding is None:
            job = job._replace(suffixes=self._template.suffixes)  # the next look is for all variants again
        pathnames = self._caches.pathnames
        entry = pathnames.get(key)
        old = entry.representation if entry else None
        now = self._now.monotonic
        if result.outcome is Outcome.UNCHANGED:
            if entry is None or old is None or old.content is None or old.identity != result.identity:
                return None
            entry.fresh_until = now + self._valid
            if entry.suffixes == result.suffixes:
                return _held(entry)
            result = result._replace(outcome=Outcome.FILE)  # a variant came or went: other heads, the same content
        if old is not None and old.identity != result.identity:
            self._caches.files.drop(old.identity)
        if result.outcome is not Outcome.FILE:
            life = self._valid if result.outcome is Outcome.DIRECTORY else self._caches.settings.negative_valid
            entry = Translation(asked, job, coding, result, now + life)
            pathnames.put(key, entry)
            return _Found(entry, None, None)
        entry = Translation(asked, job, coding, result, now + self._valid)
        representation, content = self._keep(entry, result)
        pathnames.put(key, entry)
        return _Found(entry, representation, content)

    def _keep(self, entry: Translation, result: Result) -> tuple[Representation, Content]:
        """The representation and the content of a file that was found, from the caches or new.

        They are linked before the caches get them: so what a budget has no room for is unlinked at once, and nobody
        holds bytes or descriptors that no cache counts.
        """
        identity = result.identity
        assert identity is not None
        headers, files = self._caches.headers, self._caches.files
        held = files.get(identity)
        data = result.body if result.body is not None else result.file
        if held is None:
            assert data is not None
            content = Content(identity, data)
        else:
            content = held
        coding = entry.coding
        name = entry.job.path + result.name if coding is None else entry.job.path.rpartition(b".")[0]
        root = self._root
        media = media_type(name, root.media_types)
        fields = root.fields(root.prefix + entry.asked, root.prefix + name, media)
        variant = Variant(media, coding, bool(coding or result.suffixes), fields)
        known = headers.get((identity, variant))
        representation = known or Representation(identity, variant, self._now.wall)
        representation.take_content(content)
        entry.take(representation)
        if known is None:
            headers.put((identity, variant), representation)
        if held is None:
            files.put(content)
        return representation, content

    # From what is found to an answer

    def _serve(self, request: Request, path: bytes, found: _Found, negotiate: bool = True) -> Answer:
        translation = found.translation
        if translation.outcome is Outcome.DIRECTORY:
            return self._redirect(request)
        if translation.outcome is not Outcome.FILE:
            return self._errors.answer(request, _STATUS[translation.outcome])
        if translation.suffixes and negotiate:
            variant = self._variant(request, path, found)
            if variant is not None:
                return variant
        return self._represent(request, path, found)

    def _variant(self, request: Request, path: bytes, base: _Found) -> Answer | None:
        """The answer with the stored variant that the request prefers; None where it prefers the file itself."""
        translation = base.translation
        available = [_CODINGS[suffix] for suffix in translation.suffixes]
        coding = choose(request.fields.get(b"accept-encoding"), available)
        if coding is None:
            return None
        stored = translation.job.path + translation.name + SUFFIXES[coding]
        go_on = partial(self._variant_found, request, path, base, coding)
        entry = self._get(self._key(path, coding))
        if entry is None:
            return Pending(translation.job._replace(path=stored, suffixes=()), go_on)
        entry.used = True
        if entry.fresh_until < self._now.monotonic and not self._may_serve(entry):
            return Pending(_job(entry), go_on)
        return self._represent(request, path, _held(entry)) if entry.outcome is Outcome.FILE else None

    def _represent(self, request: Request, path: bytes, found: _Found) -> Answer:
        """The answer with a representation: after the conditions, whole or in part."""
        translation, representation, content = found
        if representation is None:
            return self._look(request, path, translation)
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
            return self._look(request, path, translation)
        return self._content(request, representation, content)

    def _redirect(self, request: Request) -> Response:
        """To the form with the closing slash; a path only, so that no Host can be reflected (RFC 9110, 10.2.2)."""
        query = b"?" + quote_query(request.query) if request.query else b""
        location = quote_path(request.path) + b"/" + query
        return fixed(301, (*self._errors.extra, (b"Location", location)))

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
