"""Addresses without ".html", and whether they end in a slash."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.routing.slash import Policy, Slash, Try

REDIRECTS = [
    # clean, slash, path, where it leads
    (False, "auto", "/about.html", None),
    (False, "auto", "/about/", None),
    (False, "auto", "/index.html", None),
    (True, "auto", "/about", None),
    (True, "auto", "/about.html", "/about"),
    (True, "auto", "/index.html", "/"),
    (True, "auto", "/docs/index.html", "/docs/"),
    (True, "auto", "/docs/", None),
    (True, "auto", "/.html", None),
    (True, "auto", "/a.htm", None),
    (True, "auto", "/", None),
    (False, "always", "/about", "/about/"),
    (False, "always", "/about/", None),
    (False, "always", "/about.html", None),
    (False, "always", "/v1.2", "/v1.2/"),
    (False, "always", "/", None),
    (True, "always", "/about.html", "/about/"),
    (True, "always", "/docs/index.html", "/docs/"),
    (True, "always", "/app.js", None),
    (False, "never", "/about/", "/about"),
    (False, "never", "/about", None),
    (False, "never", "/", None),
    (True, "never", "/docs/index.html", "/docs"),
    (True, "never", "/index.html", "/"),
    (True, "never", "/about.html", "/about"),
    (("/docs/**",), "auto", "/docs/a.html", "/docs/a"),
    (("/docs/**",), "auto", "/a.html", None),
    ((), "auto", "/a.html", None),
]


@pytest.mark.parametrize(("clean", "slash", "path", "led"), REDIRECTS)
def test_where_an_address_leads_by_its_form(
    clean: bool | Sequence[str], slash: Slash, path: str, led: str | None
) -> None:
    """Before anything is looked for."""
    assert Policy(clean, slash).redirect(path.encode()) == (led.encode() if led else None)


TRIES = [
    (False, "auto", "/about", [("/about", None)]),
    (False, "auto", "/about/", [("/about/", None)]),
    (True, "auto", "/", [("/", None)]),
    (True, "auto", "/about", [("/about", None), ("/about.html", None)]),
    (True, "auto", "/about/", [("/about/", None), ("/about.html", "/about")]),
    (True, "auto", "/a.js", [("/a.js", None), ("/a.js.html", None)]),
    (True, "auto", "/.html", [("/.html", None)]),
    (False, "always", "/about/", [("/about/", None), ("/about", None)]),
    (True, "always", "/about/", [("/about/", None), ("/about.html", None), ("/about", None)]),
    (True, "always", "/a.js", [("/a.js", None), ("/a.js.html", None)]),
    (False, "never", "/about", [("/about", None), ("/about/", None)]),
    (True, "never", "/about", [("/about", None), ("/about.html", None), ("/about/", None)]),
    (("/docs/**",), "auto", "/about", [("/about", None)]),
    (("/docs/**",), "auto", "/docs/about", [("/docs/about", None), ("/docs/about.html", None)]),
]


@pytest.mark.parametrize(("clean", "slash", "path", "tries"), TRIES)
def test_what_to_look_for(
    clean: bool | Sequence[str], slash: Slash, path: str, tries: list[tuple[str, str | None]]
) -> None:
    """The path itself, then its page, then its directory."""
    found = Policy(clean, slash).tries(path.encode())
    assert found == tuple(Try(name.encode(), moved.encode() if moved else None) for name, moved in tries)


def test_a_directory_without_its_slash() -> None:
    """It leads to the address with it, in which relative links are right; with "never" it answers at once."""
    assert Policy().directory(b"/docs") == b"/docs/"
    assert Policy(slash="always").directory(b"/docs") == b"/docs/"
    assert Policy(slash="never").directory(b"/docs") is None


def test_names_of_an_index() -> None:
    """Those that are pages have no address of their own."""
    policy = Policy(True, index=(b"default.html", b"index.php"))
    assert policy.redirect(b"/a/default.html") == b"/a/"
    assert policy.redirect(b"/a/index.html") == b"/a/index"
    assert policy.redirect(b"/a/index.php") is None


PARTS = st.sampled_from([b"a", b"index.html", b"b.html", b".html", b"c.js", b"index", b"index.html.html"])
PATHS = st.tuples(st.lists(PARTS, max_size=3), st.booleans()).map(
    lambda drawn: b"/" + b"/".join(drawn[0]) + (b"/" if drawn[0] and drawn[1] else b"")
)


@given(PATHS, st.booleans(), st.sampled_from(["auto", "always", "never"]))
def test_no_address_leads_round_in_a_circle(path: bytes, clean: bool, slash: Slash) -> None:
    """Each redirect leads to one that answers after few more, whatever is found there."""
    policy = Policy(clean, slash)
    seen = [path]
    while (led := policy.redirect(seen[-1])) is not None:
        assert led not in seen
        seen.append(led)
    for each in policy.tries(seen[-1]):
        assert each.path.startswith(b"/")
        if each.moved is not None:  # with that name there is a file: it is found where it leads, at once
            assert policy.redirect(each.moved) is None
            assert each.path in [other.path for other in policy.tries(each.moved) if other.moved is None]
