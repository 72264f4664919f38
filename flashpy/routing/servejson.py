"""The file serve.json of Vercel's ``serve``, read into the settings and rules that a configuration has.

What is understood is its documented syntax (github.com/vercel/serve-handler). What cannot be followed is left out, and
a warning says so; the rest counts.
"""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from flashpy.routing.globs import Glob
from flashpy.routing.redirects import Redirect, Rewrite, Routes
from flashpy.routing.rules import Rule, Rules
from flashpy.routing.slash import Slash

HIDDEN = ("serve.json",)
"""Names that are not served where this file is followed."""

_EXTGLOB = re.compile(r"@\(([^()]*)\)")

T = TypeVar("T")


class ServeJson(NamedTuple):
    """What a file says, with the defaults of ``serve`` for what it does not, and a sentence for all that was left out.

    ``clean_urls`` and ``listing`` are for all paths, for none, or of globs. ``public`` is the directory to serve, in
    that of the file.
    """

    public: str = ""
    clean_urls: bool | tuple[str, ...] = True
    trailing_slash: Slash = "auto"
    redirects: tuple[Redirect, ...] = ()
    rewrites: tuple[Rewrite, ...] = ()
    rules: tuple[Rule, ...] = ()
    listing: bool | tuple[str, ...] = True
    unlisted: tuple[str, ...] = ()
    render_single: bool = False
    symlinks: bool = False
    etag: bool = True
    warnings: tuple[str, ...] = ()


def parse(text: str) -> ServeJson:
    """Read a serve.json.

    Raises:
        ValueError: it is no JSON, or no object; in one sentence.
    """
    try:
        said = json.loads(text)
    except RecursionError:
        raise ValueError("it is no JSON: it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    if not isinstance(said, dict):
        raise ValueError("it is no JSON object; write {} around its keys")
    warnings: list[str] = []
    found: dict[str, Any] = {}
    for key, value in said.items():
        if key == "$schema":
            continue
        if key not in _READERS:
            warnings.append(f"{key}: there is no such key; it is left out")
            continue
        name, read = _READERS[key]
        try:
            found[name] = read(key, value, warnings)
        except ValueError as error:
            warnings.append(f"{key}: {error}; it is left out")
    return ServeJson(**found, warnings=tuple(warnings))


# One reader for each kind of value


def _bool(key: str, value: Any, warnings: list[str]) -> bool:
    if not isinstance(value, bool):
        raise ValueError("it must be true or false")
    return value


def _slash(key: str, value: Any, warnings: list[str]) -> Slash:
    return "always" if _bool(key, value, warnings) else "never"


def _public(key: str, value: Any, warnings: list[str]) -> str:
    if not isinstance(value, str) or not value or value.startswith("/") or ".." in value.split("/") or "\0" in value:
        raise ValueError("it must be a directory beneath that of the file")
    return value


def _list(key: str, value: Any, warnings: list[str], read: Callable[[Any], T]) -> tuple[T, ...]:
    """What is left of a list when what cannot be followed is left out."""
    if not isinstance(value, list):
        raise ValueError("it must be a list")
    found = []
    for number, item in enumerate(value):
        try:
            found.append(read(item))
        except ValueError as error:
            warnings.append(f"{key}[{number}]: {error}; it is left out")
    return tuple(found)


def _globs(key: str, value: Any, warnings: list[str]) -> bool | tuple[str, ...]:
    return value if isinstance(value, bool) else _list(key, value, warnings, lambda item: _source(item, closing=True))


def _unlisted(key: str, value: Any, warnings: list[str]) -> tuple[str, ...]:
    return _list(key, value, warnings, _name)


def _redirects(key: str, value: Any, warnings: list[str]) -> tuple[Redirect, ...]:
    return _list(key, value, warnings, _redirect)


def _rewrites(key: str, value: Any, warnings: list[str]) -> tuple[Rewrite, ...]:
    return _list(key, value, warnings, _rewrite)


def _headers(key: str, value: Any, warnings: list[str]) -> tuple[Rule, ...]:
    return _list(key, value, warnings, _rule)


_READERS: dict[str, tuple[str, Callable[[str, Any, list[str]], Any]]] = {
    "public": ("public", _public),
    "cleanUrls": ("clean_urls", _globs),
    "trailingSlash": ("trailing_slash", _slash),
    "redirects": ("redirects", _redirects),
    "rewrites": ("rewrites", _rewrites),
    "headers": ("rules", _headers),
    "directoryListing": ("listing", _globs),
    "unlisted": ("unlisted", _unlisted),
    "renderSingle": ("render_single", _bool),
    "symlinks": ("symlinks", _bool),
    "etag": ("etag", _bool),
}


def _redirect(item: Any) -> Redirect:
    source, target = _text(item, "source"), _target(_text(item, "destination"))
    status = item.get("type", 301)
    if not isinstance(status, int) or isinstance(status, bool):
        raise ValueError('"type" must be a status such as 302')
    rule = Redirect(_source(source, segments=True, closing=True), target, status)
    Routes([rule])
    return rule


def _rewrite(item: Any) -> Rewrite:
    source, target = _text(item, "source"), _target(_text(item, "destination"))
    rule = Rewrite(_source(source, segments=True, closing=True), target)
    Routes([rule])
    return rule


def _rule(item: Any) -> Rule:
    source = _text(item, "source")
    fields = item.get("headers")
    if not isinstance(fields, list):
        raise ValueError('"headers" must be a list')
    headers = {}
    for field in fields:
        name = _text(field, "key")
        headers[name] = "" if field.get("value", "") is None else _text(field, "value")
    rule = Rule((_source(source),), (), headers)
    Rules([rule])
    return rule


def _text(item: Any, key: str) -> str:
    if not isinstance(item, dict) or not isinstance(item.get(key), str):
        raise ValueError(f'it must be an object with the text "{key}"')
    text: str = item[key]
    return text


def _target(text: str) -> str:
    """A destination in the form of our targets."""
    escaped = re.sub(r"[\\$]", r"\\\g<0>", text)
    return escaped if re.match(r"/|[A-Za-z][A-Za-z0-9+.-]*://", text) else "/" + escaped


def _name(item: Any) -> str:
    """The glob of names that are not listed, in whichever directory."""
    pattern = _source(item)
    return pattern[1:] if pattern.count("/") == 1 and len(pattern) > 1 else pattern


def _source(item: Any, segments: bool = False, closing: bool = False) -> str:
    """A pattern of minimatch, or with ``segments`` also one of path-to-regexp, as our glob; it begins with a slash.

    With ``closing`` it holds for an address with and without a closing slash.
    """
    if not isinstance(item, str) or not item:
        raise ValueError("a pattern must be a text")
    text = _EXTGLOB.sub(lambda match: "{" + match[1].replace("|", ",") + "}", item)
    text = text if text.startswith("/") else "/" + text
    if text.startswith("/!") or re.search(r"[()]|\{[^{},]*\.\.[^{},]*\}", text):
        raise ValueError(f'the pattern {item!r} is not supported: no "!", no regular expression, no range in it')
    if not segments:
        text = re.sub(r"(?<!\\):", r"\\:", text)
    elif re.search(r"[^/\\]:[A-Za-z_]|:\w+[?*+]", text):
        raise ValueError(f"the pattern {item!r} is not supported: a placeholder must be a whole segment")
    if segments and text.endswith("/**"):
        text = (text[:-3] + "{,/**}") if len(text) > 3 else text
    elif closing and not text.endswith("**") and text != "/":
        text = text.rstrip("/") + "{,/}"
    Glob(text)
    return text
