"""Listings of directories: the page that a query asks for, and the answer in the form that the client prefers.

Nothing is kept: the times and sizes in a listing change without a change of the directory's own time. So its entity tag
is a digest of what is sent, and a client that asks again is spared the transfer, not the server the look.
"""

import re
from hashlib import blake2b
from urllib.parse import parse_qsl

from flashpy.http.conditional import Validators, Verdict, evaluate
from flashpy.http.fields import EntityTag, preferred
from flashpy.http.request import Request
from flashpy.http.response import FieldList, Head, Response
from flashpy.job.entries import unpack
from flashpy.job.kinds import List, Outcome, Result, Sort
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
_ENTITY_CONDITIONS = (b"if-match", b"if-none-match")


class Listings:
    """The listings of the directories beneath a root. ``template`` is the job without a path and a query; ``archive``
    says that a directory can be had as a whole, too, and is to have a link to that."""

    __slots__ = ("_archive", "_errors", "_fixed", "_template")

    def __init__(self, template: List, errors: ErrorPages, archive: bool = False) -> None:
        self._template = template
        self._errors = errors
        self._archive = archive
        self._fixed: FieldList = (*errors.extra, (b"Cache-Control", b"no-cache"), (b"Vary", b"Accept"))

    def job(self, request: Request, path: bytes) -> List:
        """The job for a request; ``path`` is where the directory is beneath the root, with "/" at its end."""
        return _refine(self._template._replace(path=path), request.query)

    def answer(self, request: Request, result: Result) -> Response:
        """The answer with the result of the job."""
        if result.outcome is not Outcome.LISTED:
            return self._errors.answer(request, _STATUS.get(result.outcome, 500))
        assert result.file is not None and isinstance(result.job, List)
        view = View(request.path, unpack(result.file), result.job.search, self._archive)
        kind, render = _FORMS[preferred(request.fields.get(b"accept"), tuple(_FORMS))]
        return self._respond(request, view, kind, render(view))

    def _respond(self, request: Request, view: View, kind: bytes, body: bytes) -> Response:
        tag = EntityTag(b'"%s"' % blake2b(body, digest_size=12).hexdigest().encode())
        fields: FieldList = (*self._fixed, (b"ETag", bytes(tag)))
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


def _refine(job: List, query: bytes) -> List:
    """The job with what the query says; what is unknown or makes no sense in it does not count."""
    try:
        pairs = parse_qsl(
            query.decode("utf-8", "surrogateescape"), errors="surrogateescape", max_num_fields=_MOST_PARAMETERS
        )
    except ValueError:
        return job
    asked = dict(pairs)
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
