"""The page of the conformance table's result: who passes how much, and where each server fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]
LEVELS = ("MUST", "SHOULD")
OUTCOMES = ("passed", "failed", "not offered")


def markdown(found: Json, machine: Iterable[str]) -> str:
    """The whole page; ``machine`` are the lines of its last section."""
    lines = [
        f"# {found['title']}",
        "",
        f"{len(found['cases'])} cases, each of a clause of the RFCs that is a MUST or a SHOULD, put to every server",
        "over raw sockets. What a server does not offer is not held against it. Written by `benchmarks/render.py`.",
        *absent(found),
        *overview(found),
    ]
    for server in found["servers"]:
        lines += failures(found, server)
    return "\n".join([*lines, *machine]) + "\n"


def absent(found: Json) -> Iterator[str]:
    """The servers that were not there."""
    if found["absent"]:
        yield f"\nAbsent, because not installed: {'; '.join(found['absent'])}."


def overview(found: Json) -> Iterator[str]:
    """Who passes how much."""
    columns = ("server", *(f"{level} {outcome}" for level in LEVELS for outcome in OUTCOMES), "what it does not offer")
    yield f"\n| {' | '.join(columns)} |"
    yield "|---|---:|---:|---:|---:|---:|---:|---|"
    for server, title in found["servers"].items():
        of = found["found"][server]
        counts = [str(n) for level in LEVELS for n in (of["counts"][level][o] for o in OUTCOMES)]
        yield f"| {title} | {' | '.join(counts)} | {', '.join(of['not_offered'])} |"


def failures(found: Json, server: str) -> Iterator[str]:
    """Where one server fails."""
    failed = found["found"][server]["failed"]
    if not failed:
        return
    yield f"\n## {found['servers'][server]}\n"
    yield "| section | | what it demands | what came |"
    yield "|---|---|---|---|"
    for id, why in failed.items():
        case = found["cases"][id]
        yield f"| {case['section']} | {case['level']} | {cell(case['demand'])} (`{id}`) | {cell(why)} |"


def cell(text: str) -> str:
    """A text in a cell of a table."""
    for sign in "\\|<>*":
        text = text.replace(sign, f"\\{sign}")
    return text
