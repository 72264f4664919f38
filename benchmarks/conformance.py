"""The conformance table of the tests, put to flashpy and to other servers of files.

Each server is configured for all that it offers; what it does not offer is not held against it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import ABSENT, RESULTS, UnavailableError, guarded, machine, need
from benchmarks.kinds import FLASHPY_QUIET, KINDS, Kind
from benchmarks.servers import Choice, Server, running
from tests.conformance.cases import CASES
from tests.conformance.cases.case import Need
from tests.conformance.cases.exchange import PROBE_BODY
from tests.conformance.cases.judge import Outcome, judge, offered
from tests.conformance.cases.tree import build


def with_words(name: str, other: Mapping[str, str]) -> Kind:
    """A server of the comparison, with other words in its command."""
    kind = KINDS[name]
    return replace(kind, command=tuple(other.get(word, word) for word in kind.command))


SERVERS = {
    kind.name: kind
    for kind in (
        replace(KINDS["flashpy"], command=(*FLASHPY_QUIET, "-c", "{config}"), template="conformance-flashpy.toml"),
        replace(KINDS["nginx"], title="nginx", template="conformance-nginx.conf"),
        replace(KINDS["caddy"], title="Caddy", template="conformance-Caddyfile"),
        replace(KINDS["lighttpd"], template="conformance-lighttpd.conf"),
        replace(KINDS["h2o"], template="conformance-h2o.conf"),
        with_words("uvicorn-starlette", {"starlette_app:app": "starlette_mounted_app:app"}),
        KINDS["aiohttp"],
        with_words("granian", {"--http1-pipeline-flush": "--http1-keep-alive"}),
        with_words("granian-whitenoise", {"--http1-pipeline-flush": "--http1-keep-alive"}),
    )
}
"""The servers by their names, each with what it has for files switched on. granian goes without the aggregation of
pipelined answers, which is experimental: with it, many an answer is never sent."""
HOT = ("/probe.txt", len(PROBE_BODY))
AT_ONCE = 8
"""Cases that are put to a server at the same time, since some of them wait."""


def put(kind: Kind, root: Path, choice: Choice, patience: float) -> dict[str, Any]:
    """Put the whole table to one server: what it does not offer, how many cases it passes, and where it fails."""
    with running(kind, root, HOT, choice) as server:
        address = ("127.0.0.1", server.port)
        offers = offered(address, patience)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            verdicts = list(pool.map(partial(judge, address=address, offers=offers, patience=patience), CASES))
        alive(server)
    counts = Counter((case.level.value, verdict.outcome.value) for case, verdict in zip(CASES, verdicts, strict=True))
    return {
        "not_offered": sorted(need.value for need in Need if need not in offers),
        "counts": {level: {o.value: counts[level, o.value] for o in Outcome} for level in ("MUST", "SHOULD")},
        "failed": {c.id: v.why for c, v in zip(CASES, verdicts, strict=True) if v.outcome is Outcome.FAILED},
    }


def alive(server: Server) -> None:
    """Say so if a case has ended the server: then those behind it show nothing."""
    if not server.alive():
        print(f"warning: {server.kind.name} ended meanwhile: {server.last_words()}", file=sys.stderr)


def line(title: str, found: dict[str, Any]) -> str:
    """One server in one line."""
    parts = [
        f"{level} {counts['passed']} passed, {counts['failed']} failed, {counts['not offered']} not offered"
        for level, counts in found["counts"].items()
    ]
    return f"{title:<24} {';  '.join(parts)}"


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", default=",".join(SERVERS), help=f"comma-separated, of: {', '.join(SERVERS)}")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs flashpy")
    parser.add_argument("--peers-python", default=sys.executable, help="the interpreter that has the Python peers")
    parser.add_argument("--patience", type=float, default=3.0, help="seconds that a server may take for a step")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where to write the JSON file")
    return parser.parse_args()


def chosen(names: Sequence[str]) -> list[Kind]:
    """The servers that the command line names."""
    if unknown := [name for name in names if name not in SERVERS]:
        raise UnavailableError(f"There is no server called {unknown[0]}; known are {', '.join(SERVERS)}.")
    return [SERVERS[name] for name in names]


def main() -> int:
    """Put the table to each server that is there; the exit status is 1 where flashpy fails a case."""
    said = options()
    need()
    kinds = chosen(said.servers.split(","))
    choice = Choice(said.python, None, said.peers_python)
    block = machine(kinds, choice)
    present = [kind for kind in kinds if block["versions"][kind.name] != ABSENT]
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="benchmark-tree-") as scratch:
        root = build(Path(scratch))
        for kind in present:
            found[kind.name] = put(kind, root, choice, said.patience)
            print(line(kind.title, found[kind.name]), flush=True)
    block["versions"] = {kind.name: block["versions"][kind.name] for kind in present}
    result = {
        "name": "conformance",
        "title": "Conformance: RFC 9110, 9111 and 9112",
        "cases": {c.id: {"section": c.section, "demand": c.demand, "level": c.level.value} for c in CASES},
        "servers": {kind.name: kind.title for kind in present},
        "absent": [kind.title for kind in kinds if kind not in present],
        "settings": {"patience": f"{said.patience:g} s"},
        "machine": block,
        "found": found,
    }
    said.results.mkdir(parents=True, exist_ok=True)
    path = said.results / "conformance.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written: {path}")
    return int(any(found[name]["failed"] for name in found if name == "flashpy"))


if __name__ == "__main__":
    sys.exit(guarded(main))
