"""Globs: what they match, what they capture, and that no path makes them slow."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.routing.glob_syntax import MOST_ALTERNATIVES, escape, expand
from flashpy.routing.globs import Glob, compile_glob, compile_globs

CASES = {
    # pattern: (paths that match, paths that do not)
    "/a/b.html": ("/a/b.html", "/a/bxhtml /x/a/b.html /a/b.html/ /a"),
    "a/b": ("/a/b", "/x/a/b"),
    "/": ("/", "/a"),
    "*.map": ("/a.map /x/y/a.map /.map /a.map/", "/a.mapx /a.map/b /map"),
    "_headers": ("/_headers /x/_headers /_headers/", "/_headers/x /x_headers"),
    "/*.map": ("/a.map /.map", "/x/a.map"),
    "/a/*": ("/a/b /a/.b", "/a/ /a /a/b/ /a/b/c"),
    "/a/*/": ("/a/b/", "/a// /a/b"),
    "/a/*/c": ("/a/b/c", "/a/c /a/b/b/c"),
    "/a/x*": ("/a/x /a/xy", "/a/x/y"),
    "/a*b*c": ("/abc /aXbXc /abbcc", "/abcd /a/bc /acb"),
    "/a/**": ("/a/ /a/b /a/b/c /a/b/", "/a /b/a/c"),
    "/**": ("/ /a /a/b/", ""),
    "**": ("/ /a /a/b/", ""),
    "/a/**/b": ("/a/b /a/x/b /a/x/y/b", "/a/xb /ab /a/x/b/"),
    "/**/b": ("/b /a/b /a/a/b", "/ab /a/bb"),
    "**/*.js": ("/a.js /x/a.js /x/.js", "/a.jsx /a.js/"),
    "/a**z": ("/az /abz /a/b/z /a/zz", "/a /b/az"),
    "/**/a*b": ("/ab /x/aXb /a/ab", "/a/b /x/a"),
    "**a*b": ("/xab /a/ab /a/xaab /aab", "/a/b"),
    "/**/x/**/y*/z": ("/x/y/z /q/x/q/q/yy/z /x/x/y/z", "/x/z /y/x/z"),
    "/**x*y**z*w": ("/xyzw /a/xaya/za/zaw /x/xyzw", "/x/yzw /xyz/w"),
    "/**/**/a": ("/a /x/a", "/b"),
    "/a/**/": ("/a/ /a/b/ /a/b/c/", "/a /a/b"),
    "***": ("/ /a/b", ""),
    "/?.txt": ("/a.txt /é.txt /漢.txt", "/.txt /ab.txt //.txt"),
    "/a?b": ("/axb", "/a/b /ab"),
    "/[ab]": ("/a /b", "/c /ab //"),
    "/[!ab]": ("/c /é", "/a /b //"),
    "/[^a-c]x": ("/dx", "/bx /x"),
    "/[]a]": ("/] /a", "/b"),
    "/[!]]": ("/a", "/]"),
    r"/[\]\-a]": ("/] /- /a", "/b"),
    "/[a-]": ("/a /-", "/b"),
    "/[+-/]": ("/+ /- /.", "/[ //"),
    "/{a,b}": ("/a /b", "/c /{a,b}"),
    "/a{,/**}": ("/a /a/ /a/b", "/ab"),
    "/{a{1,2},b*}/c": ("/a1/c /a2/c /b/c /bb/c", "/a/c /a3/c"),
    "*.{jpg,jpeg}": ("/a.jpg /x/a.jpeg", "/a.png"),
    "{*.map,/private/**}": ("/x/a.map /private/x", "/x/private/x"),
    "/{only}": ("/only", "/{only}"),
    "/[{,}]{[,],b}": ("/{b /,b /}, /{,", "/b"),
    "/:year/:month": ("/2024/05", "/2024 /2024/05/ /2024/"),
    "/:id/edit": ("/1/edit", "//edit /1/2/edit"),
    "/a:b/12:30": ("/a:b/12:30", "/ax/12:30"),
    r"/\*\?\:x\{\\": ("/*?:x{\\", "/a"),
    r"/\:x": ("/:x", "/a"),
    "/é*": ("/é /éa", "/e"),
}


@pytest.mark.parametrize("pattern", CASES)
def test_what_a_pattern_matches(pattern: str) -> None:
    """The language of the module's description, by examples."""
    glob = compile_glob(pattern)
    matching, others = CASES[pattern]
    for path in matching.split():
        assert glob.fullmatch(path.encode()), path
    for path in others.split():
        assert not glob.fullmatch(path.encode()), path


CAPTURES = {
    ("/a/*/c/*", "/a/b/c/d"): {"1": "b", "2": "d", "splat": "d"},
    ("/a/**", "/a/b/c"): {"1": "b/c", "splat": "b/c"},
    ("/a/**", "/a/"): {"1": "", "splat": ""},
    ("/a/**/z", "/a/b/c/z"): {"1": "b/c"},
    ("/a/**/z", "/a/z"): {"1": ""},
    ("/a/**/*.js", "/a/b/c/d.js"): {"1": "b/c", "2": "d"},
    ("/:year/:month/*", "/2024/05/x"): {"year": "2024", "month": "05", "1": "x", "splat": "x"},
    ("/**/:name", "/a/b/c"): {"1": "a/b", "name": "c"},
    ("/a{,/**}", "/a"): {},
    ("/a{,/**}", "/a/b/"): {"1": "b/", "splat": "b/"},
    ("/{a*,b*c*}", "/bxcy"): {"1": "x", "2": "y", "splat": "y"},
    ("/{a*,b*c*}", "/ax"): {"1": "x", "splat": "x"},
    ("/{a*b,a*c}", "/axc"): {"1": "x"},
    ("*.map", "/x/y.map"): {"1": "y"},
    ("/a**z", "/a/b/z"): {"1": "/b/"},
    ("/plain", "/plain"): {},
    ("/plain", "/other"): None,
}


@pytest.mark.parametrize(("pattern", "path"), CAPTURES)
def test_what_a_pattern_captures(pattern: str, path: str) -> None:
    """Stars by number, placeholders by name, a star at the end as "splat"."""
    expected = CAPTURES[pattern, path]
    found = Glob(pattern).captures(path.encode())
    assert found == (None if expected is None else {name: value.encode() for name, value in expected.items()})


def test_names_and_literals() -> None:
    """What may be captured is known from the pattern, and so is that nothing but some paths can match."""
    assert Glob("/:a/**/x*{,/*}").names == {"a", "1", "2", "3", "splat"}
    assert Glob("/:a").names == {"a"}
    assert Glob("/a{,/}").literals == (b"/a", b"/a/")
    assert Glob(r"/a\*-é").literals == ("/a*-é".encode(),)
    for pattern in ("/a*", "/[a]", "/?", "/:a", "a"):
        assert Glob(pattern).literals is None


BAD = {
    "": "empty",
    "{a,}": "empty as a whole",
    "/a//b": "matches nothing",
    "/a/../b": "matches nothing",
    "./a": "matches nothing",
    "/[ab": "bracket that is not closed",
    "/{a,b": "brace that is not closed",
    "/a}": "closes a brace",
    "/a\\": "backslash",
    "/[/]": "matches nothing",
    "/[b-a]": "range b-a is empty; write a-b",
    "/[é]": "ASCII",
    "/:a/:a": "given twice",
    "/:splat": "given twice",
    "/:a.html": "whole segment",
    "/" + "{a,b}" * 9: "more than",
    "/{" + ",".join(["x"] * (MOST_ALTERNATIVES + 1)) + "}": "more than",
    "/" + "{a,b}" * 10_000: "more than",
}


@pytest.mark.parametrize("pattern", BAD, ids=range(len(BAD)))
def test_a_bad_pattern_is_refused_in_a_sentence(pattern: str) -> None:
    """So an error in a configuration says what to do."""
    with pytest.raises(ValueError, match=re.escape(BAD[pattern])):
        compile_glob(pattern)


PARTS = st.sampled_from(["a", "b", "/", "*", "**", "/**/", "/*", "?", "[ab]", "[!a]", "{a,ab}", "{,*b}", "/:n", "é"])
PATTERNS = st.lists(PARTS, min_size=1, max_size=9).map(lambda parts: "/" + "".join(parts))
PATHS = st.lists(st.sampled_from(["a", "b", "/", "é"]), max_size=12).map(
    lambda parts: re.sub("//+", "/", "/" + "".join(parts))
)


def naive(pattern: str) -> str:
    """A pattern without braces as the plainest expression that there is, which may be slow."""
    written = ""
    position = 0
    for token in re.finditer(r"(?<=/)\*{2,}/|\*{2,}|(?<=/)\*(?=/|\Z)|\*|(?<=/):\w+|\[!a\]|.", pattern):
        text = token[0]
        position = token.end()
        if text.startswith("**"):
            written += "(?:.*/)?" if text.endswith("/") else ".*"
        elif text == "*" or text.startswith(":"):
            alone = pattern[token.start() - 1] == "/" and pattern[position : position + 1] in ("", "/")
            written += "[^/]+" if alone else "[^/]*"
        else:
            written += {"?": "[^/]", "[!a]": "[^/a]"}.get(text, text)
    return written


@given(PATTERNS, PATHS)
def test_a_pattern_means_what_the_plain_expression_means(pattern: str, path: str) -> None:
    """That a step is never tried twice loses no match."""
    try:
        glob = Glob(pattern)
    except ValueError:
        return
    expected = any(re.fullmatch(naive(each), path, re.DOTALL) for each in expand(pattern))
    found = glob.captures(path.encode())
    assert (found is not None) is expected


@given(st.lists(st.sampled_from(["a", "b", "/", "*", "/**/", "**", "?"]), min_size=1, max_size=9), PATHS)
def test_captures_are_what_has_been_matched(parts: list[str], path: str) -> None:
    """Put in the place of the stars, they make a pattern without stars that matches the same path."""
    pattern = "/" + "".join(parts)
    try:
        found = Glob(pattern).captures(path.encode())
    except ValueError:
        return
    if found is not None:
        numbers = iter(range(1, 99))
        filled = re.sub(r"\*+", lambda _: escape(found[str(next(numbers))].decode()), pattern)
        assert re.fullmatch(naive(re.sub("//+", "/", filled)), path)


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1))
def test_what_is_escaped_matches_itself(text: str) -> None:
    """And nothing else."""
    if text not in (".", ".."):
        assert Glob("/" + escape(text)).literals == (b"/" + text.encode(),)


@given(st.text("{}[]\\*?,:a/é!-^", max_size=14), st.binary(max_size=12))
def test_a_text_is_a_pattern_or_refused(pattern: str, path: bytes) -> None:
    """Whatever is written, the only fault is a ValueError; and any bytes may be asked for."""
    try:
        glob = Glob(pattern)
    except ValueError:
        return
    found = glob.captures(b"/" + path)
    assert found is None or set(found) <= glob.names


HOSTILE = [
    ("/*a*a*a*a*a*a*b", b"/" + b"a" * 60_000),
    ("/**a*a**a*a**a*b", b"/" + b"a" * 60_000),
    ("/**/a/**/a/**/a/**/a/b", b"/" + b"a/" * 30_000),
    ("/**/*a*/**/*a*/**/*a*b", b"/" + b"aaa/" * 15_000),
    ("/**a**a**a**a**a**b", b"/" + b"a" * 60_000),
    ("/**a*b", b"/" + b"a" * 60_000),
    ("/**a*b*c/d", b"/" + b"ab/" * 20_000),
    ("/**/:a/:b/:c/x", b"/" + b"a/" * 30_000),
    ("*?*?*?*?*x", b"/" + "é".encode() * 30_000),
    ("/{a*,*a}{a*,*a}{a*,*a}b", b"/" + b"a" * 60_000),
    ("/**[ab]*[!a]**?*c", b"/" + b"a" * 60_000),
]


@pytest.mark.timeout(20)
@pytest.mark.parametrize(("pattern", "path"), HOSTILE, ids=[pattern for pattern, _ in HOSTILE])
def test_no_path_makes_a_pattern_slow(pattern: str, path: bytes) -> None:
    """Steps are linear in the path's length: were they of a higher power, these would take hours, not milliseconds."""
    assert not compile_glob(pattern).fullmatch(path)


def test_several_patterns_in_one() -> None:
    """For what is hidden, also what lies beneath."""
    assert compile_globs(()) is None
    plain = compile_globs(["*.map", "/private"])
    assert plain
    assert plain.fullmatch(b"/x/a.map") and plain.fullmatch(b"/private")
    assert not plain.fullmatch(b"/private/x")
    hidden = compile_globs(["*.map", "/private", ".git", "/drafts/"], beneath=True)
    assert hidden
    for path in (b"/x/a.map", b"/private", b"/private/", b"/private/x", b"/a/.git", b"/a/.git/config", b"/drafts/x"):
        assert hidden.fullmatch(path), path
    for path in (b"/x/a.maps", b"/x/private", b"/private-x", b"/drafts", b"/a.git"):
        assert not hidden.fullmatch(path), path
