"""Files: GET and HEAD of what lies beneath a root, from the three caches or by a job.

The way of a request: the pathname cache leads from what is asked for to a translation, that to a representation (the
header cache), that to a content (the file cache). Where one is missing, the answer waits for a job, and is then made
from the job's result, not from another look into the caches, so that an entry that was evicted meanwhile cannot make a
request loop.
"""

from functools import partial
from typing import NamedTuple

from flashpy.cache.file import Content
from flashpy.cache.header import Representation, Variant
from flashpy.cache.pathname import Asked, Translation
from flashpy.http.coding import SUFFIXES, choose, is_worth_coding
from flashpy.http.request import Request
from flashpy.http.response import Response, fixed
from flashpy.http.target import NO_FILE, quote_path, quote_query
from flashpy.job.kinds import KNOWN, Check, Outcome, Result, Runner, Translate
from flashpy.now import Now
from flashpy.resource.answer import Answer, Pending
from flashpy.resource.caches import Caches
from flashpy.resource.codings import Codings
from flashpy.resource.errors import ErrorPages
from flashpy.resource.listing import Listings
from flashpy.resource.media import media_type
from flashpy.resource.releases import Releases
from flashpy.resource.root import Root
from flashpy.resource.semantics import Semantics

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
        "_codings",
        "_errors",
        "_get",
        "_listings",
        "_now",
        "_releases",
        "_root",
        "_runner",
        "_semantics",
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
        listings: Listings | None = None,
    ) -> None:
        self._root = root
        self._caches = caches
        self._get = caches.pathnames.get
        self._valid = caches.settings.valid
        self._runner = runner
        self._now = now
        self._errors = errors
        self._semantics = Semantics(errors, now, max_ranges)
        self._codings = Codings(caches, runner, now, self._semantics)
        self._listings = listings
        self._tag = root.tag
        self._template = Translate(
            roots=root.roots,
            path=b"/",
            index_names=root.index_names,
            suffixes=root.suffixes,
            small=caches.settings.small_file,
            digest=root.digests,
        )
        self._releases = Releases(root.keep)

    def answer(self, request: Request, path: bytes, address: bytes = b"", aspect: bytes = b"") -> Answer:
        """Answer a GET or HEAD of what lies at ``path`` beneath the root.

        ``address`` is what the client has asked the site for, if it leads to another path. Addresses of which the site
        says the same share what the caches keep; what it says more of one is told apart by its ``aspect``.
        """
        key = aspect + path if aspect else path
        entry = self._get(self._tag + key if self._tag else key)
        if entry is None:
            return self._first_sight(request, Asked(path, address or self._root.prefix + path, key))
        entry.used = True
        if entry.fresh_until < self._now.monotonic and not self._may_serve(entry):
            return self._look(request, entry)
        if request.plain:
            representation = entry.representation if not entry.codings else _preferred(request, entry)
            if representation is not None and (whole := representation.whole) is not None:
                representation.used = True
                representation.content.used = True  # type: ignore[union-attr]  # where ``whole`` is, content is
                return whole
        return self._serve(request, _held(entry))

    # From a path to what is found there

    def _first_sight(self, request: Request, asked: Asked) -> Answer:
        if asked.path == NO_FILE or self._root.hidden(self._root.prefix + asked.path):
            return self._errors.answer(request, 404)
        self._caches.misses["pathname"] += 1
        return Pending(self._job(asked.path), partial(self._found, request, asked))

    def _job(self, path: bytes) -> Translate:
        """The job that looks for a path, without knowing anything of it. A hidden file is no index either."""
        job = self._template._replace(path=path)
        if not path.endswith(b"/"):
            return job
        hidden, directory = self._root.hidden, self._root.prefix + path
        return job._replace(index_names=tuple(name for name in job.index_names if not hidden(directory + name)))

    def _look(self, request: Request, entry: Translation) -> Pending:
        """Let the request wait for another look at what an entry is about."""
        return Pending(_job_again(entry), partial(self._found, request, entry.asked))

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
        job = _job_again(entry)
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
        if self._is_of_another_release(result):
            return
        if result.outcome in _CERTAIN:
            self._admit(entry.asked, entry.job, entry.coding, result)
        else:  # descriptors are short, or the disk fails: what is known is better than an error
            entry.fresh_until = self._now.monotonic + self._valid

    def _found(self, request: Request, asked: Asked, result: Result) -> Answer:
        """Go on with the translation of what was asked for."""
        if self._is_of_another_release(result):
            return Pending(self._job(asked.path), partial(self._found, request, asked))
        if result.outcome not in _CERTAIN:
            return self._errors.answer(request, _STATUS[result.outcome])
        job = self._job(asked.path)
        found = self._admit(asked, job, None, result)
        if found is None:  # unchanged, yet evicted meanwhile: look again, knowing nothing
            return Pending(job, partial(self._found, request, asked))
        return self._serve(request, found)

    # Releases

    def _is_of_another_release(self, result: Result) -> bool:
        """Whether a result is of another directory than the one that the root is now. If the root has become another,
        whatever was known of its names is forgotten, of all at once: their keys in the cache are others."""
        releases = self._releases
        is_another = releases.is_another(result, self._now.monotonic)
        if releases.present != self._template.release:
            if self._template.release:
                self._tag = b"%b@%b:" % (self._root.tag, releases.present)
            self._template = self._template._replace(release=releases.present)
        return is_another

    def _look_before(self, request: Request, asked: Asked, places: tuple[bytes, ...]) -> Pending:
        """Look for what the present release has not in an earlier one."""
        template = self._template
        job = Translate((places[0], *template.roots[1:]), asked.path, small=template.small, digest=template.digest)
        return Pending(job, partial(self._found_before, request, asked, places[1:]))

    def _found_before(self, request: Request, asked: Asked, places: tuple[bytes, ...], result: Result) -> Answer:
        """Go on with what an earlier release had. It is not kept in any cache, for few ask."""
        if result.outcome is not Outcome.FILE:
            return self._look_before(request, asked, places) if places else self._errors.answer(request, 404)
        assert result.identity is not None
        variant, _ = self._described(asked, asked.path, None, result)
        representation = Representation(result.identity, variant, self._now.wall)
        answer = self._semantics.answer(request, representation, _content(result))
        assert answer is not None  # for the content is at hand
        return answer

    # Into the caches

    def _key(self, asked: Asked, coding: bytes | None) -> bytes:
        return self._tag + asked.key if coding is None else b"\0%b\0%b%b" % (coding, self._tag, asked.key)

    def _admit(self, asked: Asked, job: Translate, coding: bytes | None, result: Result) -> _Found | None:
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
            # A variant came or went: other heads, the same content.
            result = result._replace(outcome=Outcome.FILE, digest=old.variant.digest)
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
        content = held or _content(result)
        path = entry.job.path + result.name if entry.coding is None else entry.job.path.rpartition(b".")[0]
        variant, entry.codings = self._described(entry.asked, path, entry.coding, result)
        known = headers.get((identity, variant))
        representation = known or Representation(identity, variant, self._now.wall)
        representation.take_content(content)
        entry.take(representation)
        if known is None:
            self._caches.misses["header"] += 1
            headers.put((identity, variant), representation)
        if held is None:
            self._caches.misses["file"] += 1
            files.put(content)
        return representation, content

    def _described(
        self, asked: Asked, path: bytes, coding: bytes | None, result: Result
    ) -> tuple[Variant, tuple[bytes, ...]]:
        """How a file that was found is represented, and the codings that can be had of it: none of what is coded."""
        assert result.identity is not None
        root = self._root
        media = media_type(path, root.media_types)
        fields = root.fields(asked.address, root.prefix + path, media)
        codings: tuple[bytes, ...] = ()
        if coding is None:
            stored = (_CODINGS[suffix] for suffix in result.suffixes)
            made = root.encode if is_worth_coding(media, result.identity.size) else ()
            codings = tuple(dict.fromkeys((*stored, *made)))
        return Variant(media, coding, bool(coding or codings), fields, digest=result.digest), codings

    # From what is found to an answer

    def _serve(self, request: Request, found: _Found) -> Answer:
        translation = found.translation
        path = translation.asked.path
        if translation.outcome is Outcome.FILE:
            return self._negotiated(request, found) if translation.codings else self._represent(request, found)
        if translation.outcome is Outcome.DIRECTORY:
            return self._redirect(request, path)
        if translation.outcome is Outcome.MISSING and self._listings is not None and path.endswith(b"/"):
            return Pending(self._listings.job(request, path), partial(self._listings.answer, request))
        if translation.outcome is Outcome.MISSING and (places := self._releases.before(path, self._now.monotonic)):
            return self._look_before(request, translation.asked, places)
        return self._errors.answer(request, _STATUS[translation.outcome])

    def _represent(self, request: Request, found: _Found) -> Answer:
        """The answer with a representation, for which its content may be missing."""
        translation, representation, content = found
        answer = self._semantics.answer(request, representation, content) if representation is not None else None
        return answer if answer is not None else self._look(request, translation)

    def _redirect(self, request: Request, path: bytes) -> Response:
        """To the form with the closing slash; a path only, so that no Host can be reflected (RFC 9110, 10.2.2)."""
        query = b"?" + quote_query(request.query) if request.query else b""
        location = quote_path(self._root.prefix + path) + b"/" + query
        return fixed(301, (*self._errors.extra, (b"Location", location)))

    # Codings

    def _negotiated(self, request: Request, base: _Found, made: bool = True) -> Answer:
        """The answer in the coding that the request prefers, stored or (``made``) made now; where such a one is not at
        hand, in the one that it prefers of those that are stored."""
        translation, representation, content = base
        stored = tuple(coding for coding in translation.codings if SUFFIXES[coding] in translation.suffixes)
        accept = request.fields.get(b"accept-encoding")
        coding = choose(accept, translation.codings if made else stored)
        if coding is None:
            return self._represent(request, base)
        if coding in stored:
            return self._stored(request, base, coding)
        if representation is None or content is None:
            return self._look(request, translation)
        otherwise = partial(self._negotiated, request, base, made=False)
        return self._codings.answer(request, representation, content, coding, otherwise)

    def _stored(self, request: Request, base: _Found, coding: bytes) -> Answer:
        """The answer with a variant that is stored beside the file."""
        translation = base.translation
        go_on = partial(self._stored_found, request, base, coding)
        entry = self._get(self._key(translation.asked, coding))
        if entry is None:
            path = translation.job.path + translation.name + SUFFIXES[coding]
            return Pending(translation.job._replace(path=path, suffixes=(), known=None), go_on)
        entry.used = True
        if entry.fresh_until < self._now.monotonic and not self._may_serve(entry):
            return Pending(_job_again(entry), go_on)
        return self._represent(request, _held(entry) if entry.outcome is Outcome.FILE else base)

    def _stored_found(self, request: Request, base: _Found, coding: bytes, result: Result) -> Answer:
        """Go on with the translation of a stored variant of what was asked for."""
        asked = base.translation.asked
        if self._is_of_another_release(result):
            return Pending(self._job(asked.path), partial(self._found, request, asked))
        if result.outcome not in _CERTAIN:
            return self._errors.answer(request, _STATUS[result.outcome])
        assert isinstance(result.job, Translate)
        job = result.job._replace(known=None)
        found = self._admit(asked, job, coding, result)
        if found is None:
            return Pending(job, partial(self._stored_found, request, base, coding))
        # It may have gone meanwhile.
        return self._represent(request, found if found.translation.outcome is Outcome.FILE else base)


def _content(result: Result) -> Content:
    """The content that a job has found."""
    data = result.body if result.body is not None else result.file
    assert result.identity is not None and data is not None
    return Content(result.identity, data)


def _preferred(request: Request, entry: Translation) -> Representation | None:
    """What the request prefers of the codings, if it has been asked for before: as it is, or as it was made."""
    plain = entry.representation
    coding = choose(request.fields.get(b"accept-encoding"), entry.codings)
    if coding is None or plain is None:
        return plain
    link = plain.coded.get(coding)
    return link.representation if link is not None else None


def _held(entry: Translation) -> _Found:
    representation = entry.representation
    return _Found(entry, representation, representation.content if representation else None)


def _job_again(entry: Translation) -> Translate:
    """The job that looks again; what is known and at hand need not be opened again."""
    representation = entry.representation
    if representation is None or representation.content is None:
        return entry.job
    return entry.job._replace(known=representation.identity)
