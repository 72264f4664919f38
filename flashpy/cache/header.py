"""The header cache: for each representation its rendered heads, the 304 included (Flash, section 5.3).

A head belongs to one version of a file, so it needs no invalidation of its own: a changed file is another version.
"""

from typing import NamedTuple

from flashpy.cache.clock import Clock
from flashpy.cache.file import Content
from flashpy.http.conditional import Validators
from flashpy.http.fields import EntityTag, http_date
from flashpy.http.response import FieldList, Head, Response
from flashpy.job.kinds import Identity


class Variant(NamedTuple):
    """What, beside the version of the file, decides on the heads: media type, content coding, whether the coding was
    negotiated (then even identity says Vary: RFC 9110, 12.5.5), the fields that the site adds, by which encoder it was
    coded on the fly (others make other bytes), and the digest of the content if the entity tag is to be of that (else
    it is of the identity)."""

    media_type: bytes
    coding: bytes | None = None
    negotiated: bool = False
    extra: FieldList = ()
    encoder: bytes = b""
    digest: bytes = b""


class Link:
    """What leads to a representation, for as long as the header cache keeps that."""

    __slots__ = ("representation",)

    def __init__(self) -> None:
        self.representation: Representation | None = None

    def take(self, representation: "Representation") -> None:
        """Lead to this representation from now on."""
        if self.representation is not representation:
            self.let_go()
            self.representation = representation
            representation.users.append(self)

    def let_go(self) -> None:
        """Lead nowhere."""
        if self.representation is not None:
            self.representation.users.remove(self)
            self.representation = None


class Representation:
    """A version of a file with its media type and coding: validators, heads, prepared responses.

    ``whole`` is the 200 with its body while the content is at hand, else None. ``coded`` leads to what it is in codings
    that are made on the fly, as far as they have been asked for.
    """

    __slots__ = (
        "coded",
        "content",
        "cost",
        "head_only",
        "identity",
        "not_modified",
        "used",
        "users",
        "validators",
        "variant",
        "whole",
    )

    def __init__(self, identity: Identity, variant: Variant, now: float) -> None:
        self.identity = identity
        self.variant = variant
        coding = b"-" + (variant.encoder or variant.coding) if variant.coding else b""
        mark = variant.digest or b"%x-%x" % (identity.mtime_ns, identity.size)
        etag = EntityTag(b'"%s%s"' % (mark, coding))
        # RFC 9110, 8.8.2.1: not later than the answer's own Date.
        self.validators = Validators(etag, min(identity.mtime_ns // 10**9, int(now)))
        vary = ((b"Vary", b"Accept-Encoding"),) if variant.negotiated else ()
        encoding = ((b"Content-Encoding", variant.coding),) if variant.coding else ()
        modified = (b"Last-Modified", http_date(self.validators.last_modified))
        shared: FieldList = (*variant.extra, (b"ETag", bytes(etag)), *vary)
        # RFC 9110, 15.4.5 and 15.3.7 list what 304 and 206 must have.
        fields: FieldList = (*shared, modified, (b"Accept-Ranges", b"bytes"), *encoding)
        length = (b"Content-Length", b"%d" % identity.size)
        head = Head(200, (*fields, (b"Content-Type", variant.media_type), length))
        self.head_only = Response(head)
        self.not_modified = Response(Head(304, (*shared, modified)))
        self.whole: Response | None = None
        self.content: Content | None = None
        self.cost = 1200 + 2 * len(head.http1)
        self.used = False
        self.users: list[Link] = []
        self.coded: dict[bytes, Link] = {}

    @property
    def fields(self) -> FieldList:
        """What a 206 says too: all but the type and the length."""
        return self.head_only.head.fields[:-2]

    def take_content(self, content: Content) -> None:
        """Prepare the whole answer."""
        if self.content is not content:
            if self.content is not None:
                self.content.users.remove(self)
            self.content = content
            content.users.append(self)
            self.whole = self.answer_with(content)

    def answer_with(self, content: Content) -> Response:
        """The whole answer, from a content that the cache may not hold."""
        return Response(self.head_only.head, (content.data,) if self.identity.size else ())

    def let_go_content(self) -> None:
        """The content has left its cache."""
        self.content = self.whole = None


HeaderKey = tuple[Identity, Variant]
HeaderCache = Clock[HeaderKey, Representation]


def header_cache(entries: int, size: int) -> HeaderCache:
    """An empty header cache with these budgets."""
    return Clock(entries, size, _let_go)


def _let_go(representation: Representation) -> None:
    for user in representation.users:
        user.representation = None
    representation.users.clear()
    for link in representation.coded.values():
        link.let_go()
    if representation.content is not None:
        representation.content.users.remove(representation)
        representation.let_go_content()
