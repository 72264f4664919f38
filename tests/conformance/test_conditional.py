"""Conditional requests (RFC 9110, section 13).

In the tables, ``<etag>`` stands for the entity tag of /old.txt, which was changed last at 2001-01-01 00:00:00.
"""

from datetime import UTC, datetime

import pytest

from tests.conformance.client import Client, Connect, request
from tests.conformance.tree import OLD_DATE

BEFORE = b"Sun, 31 Dec 2000 23:59:59 GMT"
AFTER = b"Mon, 01 Jan 2001 00:00:01 GMT"
CONTENT = b"made in 2001\n"

Row = tuple[str, str, tuple[bytes, ...], int]


def rows(*table: Row) -> pytest.MarkDecorator:
    """The test runs once for each (section, what, field lines, status)."""
    return pytest.mark.parametrize(
        ("lines", "status"), [row[2:] for row in table], ids=[f"{r[0]}: {r[1]}" for r in table]
    )


@pytest.fixture
def etag(client: Client) -> bytes:
    """The entity tag of /old.txt."""
    return client.ask(request(b"/old.txt")).fields[b"etag"]


def assert_status(client: Client, etag: bytes, lines: tuple[bytes, ...], status: int) -> None:
    """GET and HEAD of /old.txt with these lines have this status; the connection goes on."""
    lines = tuple(line.replace(b"<etag>", etag) for line in lines)
    answer = client.ask(request(b"/old.txt", *lines))
    assert answer.status == status
    if status != 412:
        assert (answer.body, answer.fields[b"etag"]) == (CONTENT if status == 200 else b"", etag)
    assert client.ask(request(b"/old.txt", *lines, method=b"HEAD")).status == status
    client.assert_kept()


@rows(
    ("13.1.2", "the same tag", (b"If-None-Match: <etag>",), 304),
    ("13.1.2", "another tag", (b'If-None-Match: "other"',), 200),
    ("13.1.2", "weak comparison", (b"If-None-Match: W/<etag>",), 304),
    ("13.1.2", "any", (b"If-None-Match: *",), 304),
    ("13.1.2", "any, with blanks", (b"If-None-Match:  * \t",), 304),
    ("13.1.2", "in a list, first", (b'If-None-Match: <etag>, "other"',), 304),
    ("13.1.2", "in a list, last", (b'If-None-Match: "a", W/"b", <etag>',), 304),
    ("13.1.2", "in a list, weak", (b'If-None-Match: "a",W/<etag>,"b"',), 304),
    ("13.1.2", "not in a list", (b'If-None-Match: "a", "b", W/"c"',), 200),
    ("13.1.2", "in a list of a hundred", (b"If-None-Match: " + b'"x", ' * 100 + b"<etag>",), 304),
    ("5.6.1.2", "empty members are passed over", (b"If-None-Match: ,, ,<etag>,",), 304),
    ("5.3", "a list on several lines", (b'If-None-Match: "a"', b"If-None-Match: <etag>"), 304),
    ("8.8.3", "a comma within a tag", (b'If-None-Match: "a,b", <etag>',), 304),
    ("8.8.3", "an empty tag", (b'If-None-Match: ""',), 200),
    ("8.8.3", "a tag without quotes is none", (b"If-None-Match: abc",), 200),
    ("8.8.3", "the weak sign minds case", (b"If-None-Match: w/<etag>",), 200),
    ("8.8.3", "part of a tag is another tag", (b'If-None-Match: "<etag>"',), 200),
    ("8.8.3", "octets above ASCII are allowed", (b'If-None-Match: "\xe4\xff", <etag>',), 304),
    ("8.8.3", "a backslash does not escape", (b'If-None-Match: "a\\", <etag>',), 304),
    ("13.1.2", "an empty value names none", (b"If-None-Match:",), 200),
)
def test_if_none_match(client: Client, etag: bytes, lines: tuple[bytes, ...], status: int) -> None:
    assert_status(client, etag, lines, status)


@rows(
    ("13.1.1", "the same tag", (b"If-Match: <etag>",), 200),
    ("13.1.1", "another tag", (b'If-Match: "other"',), 412),
    ("13.1.1", "strong comparison", (b"If-Match: W/<etag>",), 412),
    ("13.1.1", "any", (b"If-Match: *",), 200),
    ("13.1.1", "in a list", (b'If-Match: "a", <etag>, "b"',), 200),
    ("13.1.1", "not in a list", (b'If-Match: "a", W/<etag>, "b"',), 412),
    ("5.3", "a list on several lines", (b'If-Match: "a"', b"If-Match: <etag>"), 200),
    ("13.1.1", "an empty value names none", (b"If-Match:",), 412),
)
def test_if_match(client: Client, etag: bytes, lines: tuple[bytes, ...], status: int) -> None:
    assert_status(client, etag, lines, status)


def century(year: int) -> bytes:
    """New Year of a year of ours in the form of RFC 850, whose years have two digits."""
    return datetime(year, 1, 1, tzinfo=UTC).strftime("%A, %d-%b-%y 00:00:00 GMT").encode()


THIS_YEAR = datetime.now(UTC).year


@rows(
    ("13.1.3", "the same time", (b"If-Modified-Since: " + OLD_DATE,), 304),
    ("13.1.3", "a later time", (b"If-Modified-Since: " + AFTER,), 304),
    ("13.1.3", "an earlier time", (b"If-Modified-Since: " + BEFORE,), 200),
    ("13.1.3", "a time to come", (b"If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT",), 304),
    ("5.6.7", "RFC 850's form", (b"If-Modified-Since: Monday, 01-Jan-01 00:00:00 GMT",), 304),
    ("5.6.7", "RFC 850's form, earlier", (b"If-Modified-Since: Sunday, 31-Dec-00 23:59:59 GMT",), 200),
    ("5.6.7", "asctime's form", (b"If-Modified-Since: Mon Jan  1 00:00:00 2001",), 304),
    ("5.6.7", "asctime's form, earlier", (b"If-Modified-Since: Sun Dec 31 23:59:59 2000",), 200),
    ("5.6.7", "two digits, 60 years ahead: in the past", (b"If-Modified-Since: " + century(THIS_YEAR + 60),), 200),
    ("5.6.7", "two digits, 40 years ahead", (b"If-Modified-Since: " + century(THIS_YEAR + 40),), 304),
    ("5.6.7", "a leap second", (b"If-Modified-Since: Sat, 31 Dec 2016 23:59:60 GMT",), 304),
    ("13.1.3", "ignored: no date", (b"If-Modified-Since: yesterday",), 200),
    ("13.1.3", "ignored: empty", (b"If-Modified-Since:",), 200),
    ("13.1.3", "ignored: a number", (b"If-Modified-Since: 4102444800",), 200),
    ("13.1.3", "ignored: ISO 8601", (b"If-Modified-Since: 2100-01-01T00:00:00Z",), 200),
    ("5.6.7", "ignored: another zone", (b"If-Modified-Since: Fri, 01 Jan 2100 00:00:00 CET",), 200),
    ("5.6.7", "ignored: an offset", (b"If-Modified-Since: Fri, 01 Jan 2100 00:00:00 +0000",), 200),
    ("5.6.7", "ignored: UTC is not GMT", (b"If-Modified-Since: Fri, 01 Jan 2100 00:00:00 UTC",), 200),
    ("5.6.7", "ignored: no such day", (b"If-Modified-Since: Fri, 31 Feb 2100 00:00:00 GMT",), 200),
    ("5.6.7", "ignored: day 0", (b"If-Modified-Since: Fri, 00 Jan 2100 00:00:00 GMT",), 200),
    ("5.6.7", "ignored: no such hour", (b"If-Modified-Since: Fri, 01 Jan 2100 24:00:00 GMT",), 200),
    ("5.6.7", "ignored: no such month", (b"If-Modified-Since: Fri, 01 Foo 2100 00:00:00 GMT",), 200),
    ("5.6.7", "ignored: names mind case", (b"If-Modified-Since: FRI, 01 JAN 2100 00:00:00 GMT",), 200),
    ("5.6.7", "ignored: one digit for the day", (b"If-Modified-Since: Fri, 1 Jan 2100 00:00:00 GMT",), 200),
    ("5.6.7", "ignored: year 0", (b"If-Modified-Since: Fri, 01 Jan 0000 00:00:00 GMT",), 200),
    ("5.6.7", "ignored: something behind", (b"If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT; length=13",), 200),
    ("13.1.3", "ignored: two of them", (b"If-Modified-Since: " + AFTER, b"If-Modified-Since: " + AFTER), 200),
)
def test_if_modified_since(client: Client, etag: bytes, lines: tuple[bytes, ...], status: int) -> None:
    assert_status(client, etag, lines, status)


@rows(
    ("13.1.4", "the same time", (b"If-Unmodified-Since: " + OLD_DATE,), 200),
    ("13.1.4", "a later time", (b"If-Unmodified-Since: " + AFTER,), 200),
    ("13.1.4", "an earlier time", (b"If-Unmodified-Since: " + BEFORE,), 412),
    ("5.6.7", "RFC 850's form", (b"If-Unmodified-Since: Sunday, 31-Dec-00 23:59:59 GMT",), 412),
    ("5.6.7", "asctime's form", (b"If-Unmodified-Since: Sun Dec 31 23:59:59 2000",), 412),
    ("13.1.4", "ignored: no date", (b"If-Unmodified-Since: never",), 200),
    ("13.1.4", "ignored: two of them", (b"If-Unmodified-Since: " + BEFORE, b"If-Unmodified-Since: " + BEFORE), 200),
)
def test_if_unmodified_since(client: Client, etag: bytes, lines: tuple[bytes, ...], status: int) -> None:
    assert_status(client, etag, lines, status)


MATCH, NO_MATCH = b"If-Match: <etag>", b'If-Match: "other"'
NONE_MATCH, SOME_MATCH = b'If-None-Match: "other"', b"If-None-Match: <etag>"
MODIFIED, NOT_MODIFIED = b"If-Modified-Since: " + BEFORE, b"If-Modified-Since: " + OLD_DATE
UNMODIFIED, NOT_UNMODIFIED = b"If-Unmodified-Since: " + OLD_DATE, b"If-Unmodified-Since: " + BEFORE


@rows(
    ("13.2.2", "1: If-Match is true, 2 is passed over", (MATCH, NOT_UNMODIFIED), 200),
    ("13.2.2", "1: If-Match is false, 2 is true", (NO_MATCH, UNMODIFIED), 412),
    ("13.2.2", "1: If-Match is false before 3", (NO_MATCH, SOME_MATCH), 412),
    ("13.2.2", "1: If-Match is false before 4", (NO_MATCH, NOT_MODIFIED), 412),
    ("13.2.2", "1 then 3", (MATCH, SOME_MATCH), 304),
    ("13.2.2", "1 then 3, both true", (MATCH, NONE_MATCH), 200),
    ("13.2.2", "1 then 4", (MATCH, NOT_MODIFIED), 304),
    ("13.2.2", "2 is false before 3", (NOT_UNMODIFIED, SOME_MATCH), 412),
    ("13.2.2", "2 is false before 4", (NOT_UNMODIFIED, NOT_MODIFIED), 412),
    ("13.2.2", "2 then 3", (UNMODIFIED, SOME_MATCH), 304),
    ("13.2.2", "2 then 4", (UNMODIFIED, NOT_MODIFIED), 304),
    ("13.2.2", "2 then 4, both true", (UNMODIFIED, MODIFIED), 200),
    ("13.1.3", "3: If-None-Match is true, 4 is passed over", (NONE_MATCH, NOT_MODIFIED), 200),
    ("13.1.3", "3: If-None-Match is false, 4 is true", (SOME_MATCH, MODIFIED), 304),
    ("13.2.2", "all are true", (MATCH, UNMODIFIED, NONE_MATCH, MODIFIED), 200),
    ("13.2.2", "all are false", (NO_MATCH, NOT_UNMODIFIED, SOME_MATCH, NOT_MODIFIED), 412),
    ("13.2.2", "the order of the lines does not count", (NOT_MODIFIED, SOME_MATCH, NOT_UNMODIFIED, NO_MATCH), 412),
    ("13.1.4", "If-Match with no tags passes 2 over", (b"If-Match: *", NOT_UNMODIFIED), 200),
    ("13.1.3", "If-None-Match that makes no sense passes 4 over", (b"If-None-Match: nonsense", NOT_MODIFIED), 200),
)
def test_precedence(client: Client, etag: bytes, lines: tuple[bytes, ...], status: int) -> None:
    assert_status(client, etag, lines, status)


@pytest.mark.parametrize("line", [b"If-Match: *", b'If-Match: "a"', b"If-None-Match: *", NOT_UNMODIFIED, NOT_MODIFIED])
@pytest.mark.parametrize(("target", "status"), [(b"/none.txt", 404), (b"/sub", 301), (b"/.hidden", 404)])
def test_conditions_are_not_asked_where_there_is_no_200(
    client: Client, target: bytes, status: int, line: bytes
) -> None:
    """RFC 9110, 13.2.1."""
    assert client.ask(request(target, line)).status == status


@pytest.mark.parametrize("target", [b"/big.bin", b"/empty.txt", b"/sub/", b"/future.txt"])
def test_a_client_with_its_validators_gets_304(connect: Connect, target: bytes) -> None:
    """RFC 9110, 15.4.5: what an answer says of itself, sent back, finds it unchanged."""
    first, second = connect(), connect()
    fields = first.ask(request(target)).fields
    tag, date = b"If-None-Match: " + fields[b"etag"], b"If-Modified-Since: " + fields[b"last-modified"]
    for lines in ((tag,), (date,), (tag, date)):
        for client in (first, second):
            answer = client.ask(request(target, *lines))
            assert (answer.status, answer.body) == (304, b"")
            client.assert_kept()


def test_412_is_an_error_page(client: Client) -> None:
    """RFC 9110, 15.5.13."""
    answer = client.ask(request(b"/old.txt", NO_MATCH))
    assert answer.status == 412
    assert CONTENT not in answer.body
    assert b"last-modified" not in answer.fields
