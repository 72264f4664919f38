"""Listings and archives as a site offers them."""

import io
import json
import re
import tarfile
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest

from tests.children import NOBODY, in_child, needs_root, open_directory
from tests.site.conftest import Serve
from tests.site.serving import HTML, TOM, TOMS_HASH, Serving

JSON = "Accept: application/json"


def names(serving: Serving, target: str, *fields: str) -> list[str]:
    """The names in a listing."""
    return [entry["name"] for entry in json.loads(serving.ask(target, JSON, *fields).body)["entries"]]


def archived(serving: Serving, target: str, *fields: str) -> set[str]:
    """The files in an archive."""
    seen = serving.ask(target + "?download=tar", *fields)
    assert seen.status == 200
    with tarfile.open(fileobj=io.BytesIO(seen.body)) as archive:
        return {member.name.partition("/")[2] for member in archive if member.isfile()}


def tree(serve: Serve, **site: object) -> Serving:
    """A site with a directory that has no index."""
    serving = serve(listing=True, listing_archive=True, **site)
    for name in ("d/a.txt", "d/b.map", "d/.env", "d/sub/c d.txt", "d/sub/secret.html", "d/sub/secret.html.gz"):
        serving.write(name)
    return serving


def test_hidden_names_are_left_out(serve: Serve) -> None:
    serving = tree(serve, hide=["*.map", "/d/sub/secret.html"], precompressed=["gzip"])
    assert names(serving, "/d/") == ["sub", "a.txt"]
    assert names(serving, "/d/sub/") == ["c d.txt"]
    assert archived(serving, "/d/") == {"a.txt", "sub/c d.txt"}


@pytest.mark.parametrize("slash", ["auto", "always", "never"])
@pytest.mark.parametrize("where", ["/", "/mnt/"])
def test_links_lead_right(serve: Serve, slash: str, where: str, tmp_path: Path) -> None:
    """Wherever the listing is, and whether or not its address ends in a slash."""
    serving = tree(serve)
    mount = [{"path": "/mnt", "root": str(serving.root)}]
    serving = tree(serve, trailing_slash=slash, mount=mount, hide=["/index.html", "/mnt/index.html"])
    serving.write("d/o'b&lt/x.txt")
    todo, files, seen_pages = [where + "d/sub/"], set(), set()
    while todo:
        address = todo.pop()
        seen = serving.ask(address, f"Accept: {HTML}")
        while seen.status == 301:
            address = urljoin(address, seen.fields["location"])
            seen = serving.ask(address, f"Accept: {HTML}")
        assert seen.status == 200, address
        if b"<title>Index of" not in seen.body:
            files.add(seen.body.decode())
            continue
        seen_pages.add(address)
        for reference in re.findall(r'(?:href|action)="([^"#]*)"', seen.body.decode()):
            link = urlsplit(urljoin(address, reference.replace("&amp;", "&").replace("&lt;", "<"))).path
            if link.startswith(where + "d") and link.rstrip("/") not in {page.rstrip("/") for page in seen_pages}:
                todo.append(link)
        listed = json.loads(serving.ask(address, JSON).body)
        assert all(
            serving.status(urljoin(address, entry["href"]), JSON) in (200, 301) for entry in listed["entries"]
        ), address
    assert {"d/a.txt", "d/sub/c d.txt", "d/o'b&lt/x.txt"} <= files


def test_validators_and_head(serve: Serve) -> None:
    serving = tree(serve)
    for accept, kind in ((HTML, "text/html"), ("text/plain", "text/plain"), ("application/json", "application/json")):
        whole = serving.ask("/d/", f"Accept: {accept}")
        assert whole.fields["content-type"].startswith(kind)
        head = serving.ask("/d/", f"Accept: {accept}", method="HEAD")
        assert (head.status, head.fields) == (200, whole.fields)
        etag = whole.fields["etag"]
        assert serving.status("/d/", f"Accept: {accept}", f"If-None-Match: {etag}") == 304
        assert serving.status("/d/", f"Accept: {accept}", 'If-None-Match: "another"') == 200


@needs_root
def test_a_directory_that_cannot_be_read() -> None:
    """403, in all its forms; what is in it may still be asked for by its name, as the file system has it."""
    with open_directory() as place:
        serving = Serving(place, {"listing": True, "listing_archive": True}, {})
        serving.write("shut/a.txt")
        (place / "shut").chmod(0o711)

        def look() -> list[int]:
            return [serving.status(target) for target in ("/", "/shut/", "/shut/?download=tar", "/shut/a.txt")]

        assert in_child(look, NOBODY) == [200, 403, 403, 200]
        assert look() == [200, 200, 200, 200]


# What is guarded is not in an archive that others may have


def test_an_archive_has_nothing_in_it_that_is_guarded(serve: Serve) -> None:
    """By whichever of its names; who may have it asks for it."""
    guard = {"match": ["/d/sub/secret"], "users": {"tom": TOMS_HASH}}
    serving = tree(serve, access=[guard], clean_urls=True, precompressed=["gzip"])
    assert archived(serving, "/d/") == {"a.txt", "b.map", "sub/c d.txt"}
    assert archived(serving, "/d/", f"Authorization: {TOM}") == {"a.txt", "b.map", "sub/c d.txt"}


def test_who_is_let_in_gets_the_archive(serve: Serve) -> None:
    """Of what the same guard guards, but for what another does that stands before it; and without one, nothing."""
    inner = {"match": ["/d/sub/*.html"], "allow": ["192.0.2.1"]}
    outer = {"match": ["**"], "users": {"tom": TOMS_HASH}}
    serving = tree(serve, access=[inner, outer])
    assert archived(serving, "/d/", f"Authorization: {TOM}") == {"a.txt", "b.map", "sub/c d.txt", "sub/secret.html.gz"}
    assert serving.status("/d/?download=tar") == 401
    serving = tree(serve, access=[{"match": ["/d/**"]}, outer])
    assert archived(serving, "/d/") == {"a.txt", "b.map", "sub/c d.txt", "sub/secret.html", "sub/secret.html.gz"}
    assert serving.status("/d/?download=tar") == 200 and serving.status("/?download=tar") == 401


def test_a_signature_of_a_directory_is_none_of_its_files(serve: Serve) -> None:
    from flashpy.access.signed import sign

    serving = tree(serve, access=[{"match": ["/d/**"], "keys": ["0123456789abcdef"]}])
    query = sign(b"0123456789abcdef", b"/d/", 2_000_000_000, query=b"download=tar").decode()
    seen = serving.ask(f"/d/?{query}")
    with tarfile.open(fileobj=io.BytesIO(seen.body)) as archive:
        assert not any(member.isfile() for member in archive)
