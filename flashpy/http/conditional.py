"""Preconditions: who may have a 304, who must have a 412, and whether a Range counts (RFC 9110, section 13)."""

from enum import Enum, auto
from typing import NamedTuple

from flashpy.http.fields import EntityTag, parse_entity_tag, parse_entity_tags, parse_http_date
from flashpy.http.request import Fields


class Verdict(Enum):
    """What the preconditions say of a request."""

    PROCEED = auto()
    NOT_MODIFIED = auto()
    FAILED = auto()


class Validators(NamedTuple):
    """What tells one version of a representation from another: its strong entity tag, and its time in seconds."""

    etag: EntityTag
    last_modified: int


CONDITIONS = frozenset(
    {b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range", b"range"}
)
"""The fields that can turn a whole 200 into something else."""


def evaluate(fields: Fields, validators: Validators, now: float) -> Verdict:
    """The verdict on a GET or HEAD of an existing representation, in the order of RFC 9110, 13.2.2."""
    if_match = fields.get(b"if-match")
    if if_match is not None:  # step 1
        if not _listed(if_match, validators.etag, strong=True):
            return Verdict.FAILED
    else:  # step 2: If-Unmodified-Since only counts without If-Match (13.1.4)
        since = fields.get(b"if-unmodified-since")
        if since is not None:
            date = parse_http_date(since, now)
            if date is not None and validators.last_modified > date:
                return Verdict.FAILED
    if_none_match = fields.get(b"if-none-match")
    if if_none_match is not None:  # step 3
        listed = _listed(if_none_match, validators.etag, strong=False)
        return Verdict.NOT_MODIFIED if listed else Verdict.PROCEED
    since = fields.get(b"if-modified-since")
    if since is not None:  # step 4
        date = parse_http_date(since, now)
        if date is not None and validators.last_modified <= date:
            return Verdict.NOT_MODIFIED
    return Verdict.PROCEED


def range_applies(fields: Fields, validators: Validators, now: float) -> bool:
    """Step 5 of RFC 9110, 13.2.2: whether If-Range, if there is one, lets the Range field count.

    Only a strong match counts (13.1.5): equal strong tags, or exactly our Last-Modified, and that only when it is
    strong, which is to say at least a second before the answer's Date (8.8.2.2).
    """
    value = fields.get(b"if-range")
    if value is None:
        return True
    tag = parse_entity_tag(value)
    if tag is not None:
        return tag.matches_strongly(validators.etag)
    date = parse_http_date(value, now)
    return date is not None and date == validators.last_modified and validators.last_modified + 1 <= int(now)


def _listed(value: bytes, etag: EntityTag, *, strong: bool) -> bool:
    """Whether a list of entity tags, or ``*``, names this one."""
    if value == etag.opaque and not etag.weak:  # most often it is just the tag that we gave
        return True
    if value.strip(b" \t") == b"*":
        return True
    matches = etag.matches_strongly if strong else etag.matches_weakly
    return any(matches(tag) for tag in parse_entity_tags(value))
