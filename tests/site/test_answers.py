"""What a site answers before any resource is asked."""

from pathlib import Path
from typing import Any

import pytest

from flashpy.arch.inline import InlineRunner, do
from flashpy.http.request import faulty
from flashpy.http.response import Response
from flashpy.job.kinds import Translate
from flashpy.now import Now
from flashpy.resource.answer import Pending
from flashpy.settings import Config, SiteSection
from flashpy.site.sites import Answering, answering
from tests.http.making import request, wire

CLIENT = "127.0.0.1"


@pytest.fixture
def site(tmp_path: Path) -> Answering:
    """A site with a field of its own."""
    section = SiteSection(root=str(tmp_path), headers={"X-Frame-Options": "DENY", "X-Name": "ü"})
    return answering(Config(site=section), InlineRunner(), Now())


def answer(site: Answering, *asked: Any, **fields: bytes) -> Response:
    """What the site answers at once."""
    found = site.answer(request(*asked, **fields), CLIENT)
    assert isinstance(found, Response)
    return found


def fields_of(response: Response) -> dict[bytes, bytes]:
    """The fields of a response."""
    return dict(response.head.fields)


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"PATCH", b"TRACE"])
def test_other_methods(site: Answering, method: bytes) -> None:
    """RFC 9110, 15.5.6: 405 must say what is allowed."""
    found = answer(site, b"/", method)
    assert found.head.status == 405
    assert fields_of(found)[b"Allow"] == b"GET, HEAD, OPTIONS"
    assert not found.close


def test_connect(site: Answering) -> None:
    """RFC 9110, 9.3.6: known, and not allowed for files."""
    (asked,) = wire().receive(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n")
    found = site.answer(asked, CLIENT)
    assert isinstance(found, Response) and found.head.status == 405


@pytest.mark.parametrize("method", [b"get", b"BREW", b"A" * 100])
def test_unknown_methods(site: Answering, method: bytes) -> None:
    """RFC 9110, 9.1 and 15.6.2: methods are case-sensitive; one that nobody knows is 501, however long."""
    assert answer(site, b"/", method).head.status == 501


@pytest.mark.parametrize("target", [b"*", b"/", b"/no/such/file"])
def test_options(site: Answering, target: bytes) -> None:
    """RFC 9110, 9.3.7: of the server or of a file, without content."""
    found = answer(site, target, b"OPTIONS")
    assert (found.head.status, found.body) == (204, ())
    assert fields_of(found)[b"Allow"] == b"GET, HEAD, OPTIONS"


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_files_are_asked_for_by_a_job(site: Answering, method: bytes) -> None:
    """GET and HEAD go to the files, plain or not."""
    for fields in ({}, {"range": b"bytes=0-1"}):
        found = site.answer(request(b"/a%20b", method, **fields), CLIENT)
        assert isinstance(found, Pending)
        assert isinstance(found.job, Translate) and found.job.path == b"/a b"


@pytest.mark.parametrize("status", [400, 413, 414, 417, 431, 505])
def test_faults(site: Answering, status: int) -> None:
    """RFC 9112, 11.2: the fault's own status, and the connection ends."""
    found = site.answer(faulty(status, b"GET / HTTP/1.1"), CLIENT)
    assert isinstance(found, Response)
    assert found.head.status == status and found.close


def test_failure(site: Answering) -> None:
    """RFC 9110, 15.6.1."""
    assert site.failure(request()).head.status == 500


def test_the_sites_own_fields_are_in_all_answers(site: Answering, tmp_path: Path) -> None:
    """Those of errors, redirects and OPTIONS too; text as Latin-1, as fields have it (RFC 9110, 5.5)."""
    (tmp_path / "dir").mkdir()
    (tmp_path / "a").write_bytes(b"x")
    answers = [answer(site, b"/", b"POST"), answer(site, b"*", b"OPTIONS"), site.failure(request())]
    for path in (b"/a", b"/dir", b"/no"):
        pending = site.answer(request(path), CLIENT)
        assert isinstance(pending, Pending)
        found = pending.go_on(do(pending.job))
        assert isinstance(found, Response)
        answers.append(found)
    assert [found.head.status for found in answers] == [405, 204, 500, 200, 301, 404]
    for found in answers:
        assert fields_of(found)[b"X-Frame-Options"] == b"DENY"
        assert fields_of(found)[b"X-Name"] == b"\xfc"
        assert fields_of(found)[b"Server"] == b"flashpy"
