"""Listings of directories: the page that a query asks for, and the answer in the form that the client prefers.

Nothing is kept: the times and sizes in a listing change without a change of the directory's own time. So its entity tag
is a digest of what is sent, and a client that asks again is spared the transfer, not the server the look.
"""

import re
from collections.abc import Callable
from hashlib import blake2b
from urllib.parse import parse_qsl

from flashpy.buffers import Descriptor
from flashpy.http.conditional import Validators, Verdict, evaluate
from flashpy.http.fields import EntityTag, preferred
from flashpy.http.request import Request
from flashpy.http.response import FieldList, Head, Response, error
from flashpy.job.entries import unpack
from flashpy.job.kinds import List, Outcome, Result, Sort, Walk
from flashpy.resource.archive import Archive, disposition
from flashpy.resource.errors import ErrorPages
from flashpy.resource.listing_page import POLICY, as_html
from flashpy.resource.listing_view import ORDERS, SORTS, View, as_json, as_text

_FORMS = {
    b"text/html": (b"text/html; charset=utf-8", as_html),
    b"application/json": (b"application/json", as_json),
    b"text/plain": (b"text/plain; charset=utf-8", as_text),
}
_STATUS = {
    Outcome.MISSING: 404,
    Outcome.FORBIDDEN: 403,
    Outcome.NO_DESCRIPTORS: 503,
    Outcome.LATE: 503,
}
_PAGE = re.compile(r"[1-9][0-9]{0,8}")
_LONGEST_SEARCH = 255
_MOST_PARAMETERS = 20
_TOO_LARGE = "This directory is too large to be downloaded as a whole."
_NAMELESS = b"files"  # what the archive of the topmost directory is called
_ENTITY_CONDITIONS = (b"if-match", b"if-none-match")
_OWN = frozenset({b"cache-control", b"x-content-type-options"})
"""Fields that listings have, whatever is said of other answers."""


class Listings:
    """The listings of the directories beneath a root, and archives of them.

    ``template`` is the job without a path and a query, ``archive`` the one for an archive, without a path and a name;
    None if there are to be none. ``small`` is the size up to which a helper reads a file of an archive itself;
    ``withheld`` says what is left out of the archive of a directory (its path with the prefix) beside what is hidden.
    """

    __slots__ = ("_archive", "_errors", "_fixed", "_small", "_template", "_withheld")

    def __init__(
        self,
        template: List,
        errors: ErrorPages,
        archive: Walk | None = None,
        small: int = 0,
        withheld: Callable[[bytes], tuple[bytes, ...]] = lambda path: (),
    ) -> None:
        self._template = template
        self._errors = errors
        self._archive = archive
        self._small = small
        self._withheld = withheld
        others = (each for each in errors.extra if each[0].lower() not in _OWN)
        self._fixed: FieldList = (*others, (b"Cache-Control", b"no-cache"))

    def job(self, request: Request, path: bytes) -> List | Walk:
        """The job for a request; ``path`` is where the directory is beneath the root, with "/" at its end."""
        asked = _parameters(request.query)
        if self._archive is not None and asked.get("download") == "tar":
            name = request.path.rstrip(b"/").rpartition(b"/")[2]
            hide = (*self._archive.hide, *self._withheld(self._archive.prefix + path))
            return self._archive._replace(path=path, name=name or _NAMELESS, hide=hide)
        return _refine(self._template._replace(path=path), asked)

    def answer(self, request: Request, result: Result) -> Response:
        """The answer with the result of the job."""
        if result.outcome is Outcome.TOO_LARGE:
            with_body = request.method != b"HEAD"
            return error(
                403, request.fields.get(b"accept"), self._errors.fields, with_body=with_body, advice=_TOO_LARGE
            )
        if result.outcome not in (Outcome.LISTED, Outcome.WALKED):
            return self._errors.answer(request, _STATUS.get(result.outcome, 500))
        assert result.file is not None
        if isinstance(result.job, Walk):
            return self._whole(request, result.job, result.file)
        assert isinstance(result.job, List)
        view = View(request.path, unpack(result.file), result.job.search, self._archive is not None)
        kind, render = _FORMS[preferred(request.fields.get(b"accept"), tuple(_FORMS))]
        return self._respond(request, view, kind, render(view))

    def _whole(self, request: Request, job: Walk, tree: Descriptor) -> Response:
        """The archive; there is no telling whether it is still the same, so it has no validator and no ranges."""
        archive = Archive(job, tree, self._small)
        fields = (
            *self._fixed,
            (b"Content-Type", b"application/x-tar"),
            (b"Content-Disposition", disposition(job.name)),
            (b"Content-Length", b"%d" % archive.length),
        )
        return Response(Head(200, fields), archive.body() if request.method != b"HEAD" else ())

    def _respond(self, request: Request, view: View, kind: bytes, body: bytes) -> Response:
        tag = EntityTag(b'"%s"' % blake2b(body, digest_size=12).hexdigest().encode())
        fields: FieldList = (*self._fixed, (b"Vary", b"Accept"), (b"ETag", bytes(tag)))
        # There is no Last-Modified, and without one the conditions on dates do not count (RFC 9110, 13.1.3, 13.1.4).
        conditions = {name: request.fields[name] for name in _ENTITY_CONDITIONS if name in request.fields}
        verdict = evaluate(conditions, Validators(tag, 0), 0.0)
        if verdict is Verdict.NOT_MODIFIED:
            return Response(Head(304, fields))
        if verdict is Verdict.FAILED:
            return self._errors.answer(request, 412)
        described = (
            *_links(view),
            (b"Content-Type", kind),
            (b"X-Content-Type-Options", b"nosniff"),
            (b"Content-Security-Policy", POLICY.encode()),
            (b"Content-Length", b"%d" % len(body)),
        )
        return Response(Head(200, (*fields, *described)), (body,) if request.method != b"HEAD" else ())


def _parameters(query: bytes) -> dict[str, str]:
    """What a query says; nothing if it says too much."""
    text = query.decode("utf-8", "surrogateescape")
    try:
        return dict(parse_qsl(text, errors="surrogateescape", max_num_fields=_MOST_PARAMETERS))
    except ValueError:
        return {}


def _refine(job: List, asked: dict[str, str]) -> List:
    """The job with the parameters of a query; what is unknown or makes no sense does not count."""
    page, search = asked.get("page", ""), asked.get("search", "").encode("utf-8", "surrogateescape")
    return job._replace(
        page=int(page) if _PAGE.fullmatch(page) else 1,
        sort=SORTS.get(asked.get("sort", ""), Sort.NAME),
        descending=ORDERS.get(asked.get("order", ""), False),
        search=search[:_LONGEST_SEARCH].strip(),
    )


def _links(view: View) -> FieldList:
    """The pages before and after, for programs (RFC 8288)."""
    page, pages = view.listing.page, view.listing.pages
    links = []
    if page > 1:
        links.append(f'<{view.query(page - 1)}>; rel="prev"')
    if page < pages:
        links.append(f'<{view.query(page + 1)}>; rel="next"')
    return ((b"Link", ", ".join(links).encode()),) if links else ()
