"""Files: GET and HEAD of what lies beneath a root, from the three caches or by a job.

The way of a request: the pathname cache leads from the path to a translation, that to a representation (the header
cache), that to a content (the file cache). Where one is missing, the answer waits for a job, and is then made from the
job's result, not from another look into the caches, so that an entry that was evicted meanwhile cannot make a request
loop.
"""

from functools import partial
from typing import NamedTuple

from flashpy.buffers import Slice
from flashpy.cache.coded import Coded, coded_of, key_of
from flashpy.cache.file import Content
from flashpy.cache.header import Representation, Variant
from flashpy.cache.pathname import Translation
from flashpy.http.coding import SUFFIXES, choose, is_worth_coding, refuses_identity
from flashpy.http.request import Request
from flashpy.http.response import Response, fixed
from flashpy.http.target import NO_FILE, quote_path, quote_query
from flashpy.job.kinds import KNOWN, LEVELS, Check, Encode, Outcome, Result, Runner, Translate
from flashpy.now import Now
from flashpy.resource.answer import Answer, Pending
from flashpy.resource.caches import Caches
from flashpy.resource.errors import ErrorPages
from flashpy.resource.listing import Listings
from flashpy.resource.media import media_type
from flashpy.resource.releases import Previous
from flashpy.resource.root import Root
from flashpy.resource.semantics import Semantics

PROMPT = 256 * 1024
"""Bytes up to which a coding is waited for, since it takes some milliseconds; what is larger is sent as it is the first
time."""

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
        "_listings",
        "_now",
        "_place",
        "_previous",
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
        self._place = b""
        self._previous = Previous(root.keep)

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
            and not entry.codings
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
        if self._is_of_another_release(result):
            return
        if result.outcome in _CERTAIN:
            self._admit(entry.asked, entry.job, entry.coding, result)
        else:  # descriptors are short, or the disk fails: what is known is better than an error
            entry.fresh_until = self._now.monotonic + self._valid

    def _found(self, request: Request, path: bytes, result: Result) -> Answer:
        """Go on with the translation of what was asked for."""
        if self._is_of_another_release(result):
            return Pending(self._template._replace(path=path), partial(self._found, request, path))
        if result.outcome not in _CERTAIN:
            return self._errors.answer(request, _STATUS[result.outcome])
        job = self._template._replace(path=path)
        found = self._admit(path, job, None, result)
        if found is None:  # unchanged, yet evicted meanwhile: look again, knowing nothing
            return Pending(job, partial(self._found, request, path))
        return self._serve(request, path, found)

    # Releases

    def _is_of_another_release(self, result: Result) -> bool:
        """Whether a result is of another directory than the one that the root is now; if the root has become another,
        whatever was known of its names is forgotten, of all at once."""
        if not result.release or (result.release == self._template.release and result.outcome is not Outcome.MOVED):
            return False
        assert isinstance(result.job, Translate)
        if not self._template.release:
            self._take_release(result)
            return False
        if result.job.release == self._template.release:
            self._previous.add(self._place, self._now.monotonic)
            self._take_release(result)
            self._tag = b"%b@%b:" % (self._root.tag, result.release)
        return True

    def _take_release(self, result: Result) -> None:
        self._template = self._template._replace(release=result.release)
        self._place = result.place

    def _found_before(self, request: Request, path: bytes, result: Result) -> Answer:
        """Go on with what an earlier release had at a path: it is not kept, for few ask."""
        if result.outcome is not Outcome.FILE:
            return self._errors.answer(request, 404)
        entry = Translation(path, self._template._replace(path=path), None, result, self._now.monotonic)
        representation, content = self._keep(entry, result)
        return self._represent(request, path, _Found(entry, representation, content))

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
        if coding is None:
            stored = tuple(_CODINGS[suffix] for suffix in result.suffixes)
            made = root.encode if is_worth_coding(media, identity.size) else ()
            entry.codings = tuple(dict.fromkeys((*stored, *made)))
        variant = Variant(media, coding, bool(coding or entry.codings), fields)
        known = headers.get((identity, variant))
        representation = known or Representation(identity, variant, self._now.wall, result.digest)
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
            return self._redirect(request, path)
        if translation.outcome is Outcome.MISSING and self._listings is not None and path.endswith(b"/"):
            return Pending(self._listings.job(request, path), partial(self._listings.answer, request))
        if translation.outcome is Outcome.MISSING and (roots := self._previous.roots(path, self._now.monotonic)):
            job = Translate(roots, path, small=self._template.small, digest=self._template.digest)
            return Pending(job, partial(self._found_before, request, path))
        if translation.outcome is not Outcome.FILE:
            return self._errors.answer(request, _STATUS[translation.outcome])
        if translation.codings and negotiate:
            coded = self._negotiated(request, path, found)
            if coded is not None:
                return coded
        return self._represent(request, path, found)

    def _negotiated(self, request: Request, path: bytes, base: _Found) -> Answer | None:
        """The answer in the coding that the request prefers, stored or made; None where it prefers none."""
        accept = request.fields.get(b"accept-encoding")
        coding = choose(accept, base.translation.codings)
        if coding is None:
            return None
        if SUFFIXES[coding] in base.translation.suffixes:
            return self._stored(request, path, base, coding)
        return self._made(request, path, base, coding)

    # Codings that are stored beside a file

    def _stored(self, request: Request, path: bytes, base: _Found, coding: bytes) -> Answer | None:
        """The answer with a stored variant; None if that is not there after all."""
        translation = base.translation
        go_on = partial(self._stored_found, request, path, base, coding)
        entry = self._get(self._key(path, coding))
        if entry is None:
            stored = translation.job.path + translation.name + SUFFIXES[coding]
            return Pending(translation.job._replace(path=stored, suffixes=(), known=None), go_on)
        entry.used = True
        if entry.fresh_until < self._now.monotonic and not self._may_serve(entry):
            return Pending(_job(entry), go_on)
        return self._represent(request, path, _held(entry)) if entry.outcome is Outcome.FILE else None

    def _stored_found(self, request: Request, path: bytes, base: _Found, coding: bytes, result: Result) -> Answer:
        """Go on with the translation of a stored variant of what was asked for."""
        if self._is_of_another_release(result):
            return self.answer(request, path)
        if result.outcome not in _CERTAIN:
            return self._errors.answer(request, _STATUS[result.outcome])
        assert isinstance(result.job, Translate)
        job = result.job._replace(known=None)
        found = self._admit(path, job, coding, result)
        if found is None:
            return Pending(job, partial(self._stored_found, request, path, base, coding))
        if found.translation.outcome is not Outcome.FILE:  # it has gone meanwhile
            return self._serve(request, path, base, negotiate=False)
        return self._represent(request, path, found)

    # Codings that are made

    def _made(self, request: Request, path: bytes, base: _Found, coding: bytes) -> Answer | None:
        """The answer in a coding that is made, by a helper. What takes long is made for those who come later: None."""
        representation, content = base.representation, base.content
        if representation is None or content is None:
            return self._look(request, path, base.translation)
        source = content.data.file if isinstance(content.data, Slice) else content.data
        job = Encode(source, representation.identity, coding, LEVELS[coding])
        coded = self._caches.coded.get(key_of(job))
        if coded is not None:
            return self._with_coded(request, path, base, coding, coded)
        if representation.identity.size <= PROMPT or refuses_identity(request.fields.get(b"accept-encoding")):
            return Pending(job, partial(self._made_now, request, path, base, coding))
        self._runner.run(job, self._made_meanwhile)
        return None

    def _made_now(self, request: Request, path: bytes, base: _Found, coding: bytes, result: Result) -> Answer:
        coded = coded_of(result)
        if coded is None:  # the helpers are busy, or the file has changed
            return self._represent(request, path, base)
        self._keep_coded(result, coded)
        answer = self._with_coded(request, path, base, coding, coded)
        return answer if answer is not None else self._represent(request, path, base)

    def _made_meanwhile(self, result: Result) -> None:
        coded = coded_of(result)
        if coded is not None:
            self._keep_coded(result, coded)

    def _keep_coded(self, result: Result, coded: Coded) -> None:
        assert isinstance(result.job, Encode)
        self._caches.coded.put(key_of(result.job), coded)

    def _with_coded(self, request: Request, path: bytes, base: _Found, coding: bytes, coded: Coded) -> Response | None:
        coded.used = True
        content = coded.content
        if content is None:
            return None
        assert base.representation is not None
        variant = base.representation.variant._replace(coding=coding, negotiated=True, encoder=coded.encoder)
        representation = self._caches.headers.get((content.identity, variant))
        if representation is None:
            digest = base.representation.digest
            representation = Representation(content.identity, variant, self._now.wall, digest)
            representation.take_content(content)
            self._caches.headers.put((content.identity, variant), representation)
        representation.used = True
        return self._semantics.answer(request, representation, content)

    def _represent(self, request: Request, path: bytes, found: _Found) -> Answer:
        """The answer with a representation, for which its content may be missing."""
        translation, representation, content = found
        answer = self._semantics.answer(request, representation, content) if representation is not None else None
        return answer if answer is not None else self._look(request, path, translation)

    def _redirect(self, request: Request, path: bytes) -> Response:
        """To the form with the closing slash; a path only, so that no Host can be reflected (RFC 9110, 10.2.2)."""
        query = b"?" + quote_query(request.query) if request.query else b""
        location = quote_path(self._root.prefix + path) + b"/" + query
        return fixed(301, (*self._errors.extra, (b"Location", location)))


def _held(entry: Translation) -> _Found:
    representation = entry.representation
    return _Found(entry, representation, representation.content if representation else None)


def _job(entry: Translation) -> Translate:
    """The job that looks again; what is known and at hand need not be opened again."""
    representation = entry.representation
    if representation is None or representation.content is None:
        return entry.job
    return entry.job._replace(known=representation.identity)
