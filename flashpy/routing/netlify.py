"""Netlify's files _redirects and _headers, read into the rules that a configuration has.

What is understood is their documented syntax (docs.netlify.com, "Redirects and rewrites", "Custom headers"). A line
that cannot be followed is left out, and a warning says so; the rest counts. As at Netlify, a rule holds for an address
with and without a closing slash, and does not apply where there is a file, unless its status ends in "!".
"""

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from flashpy.routing.glob_syntax import escape
from flashpy.routing.globs import Glob
from flashpy.routing.redirects import REDIRECT_STATUSES, Redirect, Rewrite, Routes
from flashpy.routing.rules import Rule, Rules

HIDDEN = ("_headers", "_redirects")
"""Names that are not served where these files are followed."""

_NAME = re.compile(r":[A-Za-z_][A-Za-z0-9_]*")
_STATUS = re.compile(r"([1-9][0-9]{2})(!?)")


class Redirects(NamedTuple):
    """What a file _redirects says, with a sentence for each line that was left out."""

    rules: tuple[Redirect | Rewrite, ...]
    warnings: tuple[str, ...]


class Headers(NamedTuple):
    """What a file _headers says, with a sentence for each line that was left out."""

    rules: tuple[Rule, ...]
    warnings: tuple[str, ...]


def parse_redirects(text: str) -> Redirects:
    """Read a file _redirects: ``from [parameter=value ...] to [status[!]]`` on each line."""
    rules: list[Redirect | Rewrite] = []
    warnings: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        parts = line.split()
        comment = next((at for at, part in enumerate(parts) if part.startswith("#")), len(parts))
        if not comment:
            continue
        try:
            rule = _redirect(*parts[:comment])
            Routes([rule])
        except ValueError as error:
            warnings.append(f"line {number}: {error}; the line is left out")
        else:
            rules.append(rule)
    return Redirects(tuple(rules), tuple(warnings))


def _redirect(source: str, *parts: str) -> Redirect | Rewrite:
    """The rule of one line."""
    at = next((at for at, part in enumerate(parts) if re.match(r"/|https?://", part)), None)
    if at is None:
        raise ValueError('there is no target that begins with "/" or https://')
    status, force = 301, False
    conditions = list(parts[at + 1 :])
    if conditions and (match := _STATUS.fullmatch(conditions[0])):
        status, force = int(match[1]), bool(match[2])
        del conditions[0]
    if conditions:
        raise ValueError(f"the condition {conditions[0]!r} is not supported")
    host, match_ = _source(source, parts[at])
    query = tuple(_parameter(part) for part in parts[:at])
    names = Glob(match_).names | {value[1:] for _, value in query if value.startswith(":")}
    target = _target(parts[at], names)
    if status in REDIRECT_STATUSES or 300 <= status < 400:
        return Redirect(match_, target, status, force, query, host)
    if not target.startswith("/"):
        raise ValueError("passing requests on to another server is not supported")
    return Rewrite(match_, target, status, force, query, host)


def _source(text: str, target: str) -> tuple[str, str]:
    """The host, if one is named, and the pattern of what a rule is for."""
    if text.startswith("/"):
        return "", _pattern(text)
    if not re.match(r"https?://", text):
        raise ValueError(f'{text!r} does not begin with "/"')
    parts, to = urlsplit(text), urlsplit(target)
    if parts.netloc.lower() == to.netloc.lower() and parts.scheme != to.scheme:
        raise ValueError("http and https cannot be told apart here; let the server that has the certificate redirect")
    return parts.netloc, _pattern(parts.path or "/")


def _pattern(path: str) -> str:
    """The glob of a path of Netlify's, with and without a closing slash; an asterisk at the end takes all the rest."""
    text = unquote(path)
    splat = text.endswith("*")
    body = text[: -1 if splat else None]
    if "*" in body:
        raise ValueError(f"{path!r}: an asterisk may stand at the end only")
    base = "/".join(part if _NAME.fullmatch(part) else escape(part) for part in body.rstrip("/").split("/"))
    if not splat:
        return base + "{,/}" if base else "/"
    if body.endswith("/"):
        return base + "{,/**}" if base else "/**"
    return base + "**"


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f'{text!r} is no parameter; write one such as "id=:id"')
    return unquote(name), value if value.startswith(":") else unquote(value)


def _target(text: str, names: frozenset[str]) -> str:
    """A target of Netlify's in the form of ours: only the placeholders that the pattern has are any."""

    def one(match: re.Match[str]) -> str:
        return match[0] if match[0][1:] in names else "\\" + match[0]

    return re.sub(r"[\\$]|:[A-Za-z_][A-Za-z0-9_]*", one, text)


def parse_headers(text: str) -> Headers:
    """Read a file _headers: a path on a line of its own, then lines ``Name: value`` for it.

    A field that is given twice for one path has both values, as a list.
    """
    blocks: list[tuple[str, dict[str, str]] | None] = []
    warnings: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        try:
            if re.match(r"/|https?://", line):
                blocks.append(None)  # what follows a path that cannot be followed is left out with it
                blocks[-1] = _header_pattern(line), {}
            elif not blocks:
                raise ValueError("there is no path before the first field")
            elif (block := blocks[-1]) is not None:
                _add_field(block[1], line)
        except ValueError as error:
            warnings.append(f"line {number}: {error}; the line is left out")
    rules = tuple(Rule((block[0],), (), block[1]) for block in blocks if block is not None and block[1])
    return Headers(rules, tuple(warnings))


def _add_field(fields: dict[str, str], line: str) -> None:
    name, colon, value = (part.strip() for part in line.partition(":"))
    if not colon or not value:
        raise ValueError(f'{line!r} is no field; write one such as "X-Frame-Options: DENY"')
    if name.lower() == "basic-auth":
        raise ValueError("passwords are not taken from here; they belong into the configuration")
    Rules([Rule(headers={name: value})])
    known = next((each for each in fields if each.lower() == name.lower()), None)
    if known is None:
        fields[name] = value
    elif name.lower() == "set-cookie":
        raise ValueError("only one Set-Cookie can be set for a path")
    else:
        fields[known] += ", " + value


def _header_pattern(line: str) -> str:
    """The glob of a path of Netlify's in this file: here an asterisk may stand anywhere, and takes slashes too."""
    if not line.startswith("/"):
        raise ValueError("fields for one host only are not supported; write the path")
    parts = [part.rstrip() for part in line.split("/") if part.strip()]
    last = parts.pop() if parts and parts[-1] == "*" else ""
    base = "".join("/" + (part if _NAME.fullmatch(part) else _starred(part)) for part in parts)
    pattern = base + ("{,/**}" if base else "/**") if last else base + "{,/}" if base else "/"
    Glob(pattern)
    return pattern


def _starred(part: str) -> str:
    return re.sub(r"(?:\\\*)+", "**", escape(part))
