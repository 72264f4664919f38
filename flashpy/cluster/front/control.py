"""What a front-end answers at its control socket: where a request would go and why, and the draining of nodes."""

import math
from urllib.parse import parse_qs

import msgspec
from msgspec import Struct

from flashpy.cluster.choosing import Asked
from flashpy.cluster.front.dispatcher import Dispatcher
from flashpy.cluster.front.roster import Roster, numeric
from flashpy.cluster.front.state import state_of
from flashpy.http.request import Request
from flashpy.http.response import Head, Response
from flashpy.http.target import parse_target
from flashpy.report import NodeState
from flashpy.settings import NodeSection

_METHODS = {b"/state": b"GET"} | dict.fromkeys((b"/explain", b"/drain", b"/undrain", b"/join", b"/leave"), b"POST")


class Explanation(Struct):
    """Where a request for a target would go: the nodes that are believed to have it, and the one that would get it."""

    target: str
    policy: str
    mapped: list[str]
    chosen: str
    why: str
    nodes: dict[str, NodeState]


class ControlSite:
    """Answers who drives the cluster (a site.sites.Answering)."""

    def __init__(self, dispatcher: Dispatcher, roster: Roster) -> None:
        self._dispatcher = dispatcher
        self._roster = roster

    def answer(self, request: Request, client: str) -> Response:
        """See Answering."""
        if request.fault:
            return self.failure(request, request.fault)
        method = _METHODS.get(request.path)
        if method is None:
            return _sentence(404, f"There is nothing at {request.path.decode(errors='replace')}.")
        if method != request.method:
            return _sentence(405, f"This takes {method.decode()}.")
        query = {name: values[0] for name, values in parse_qs(request.query.decode("latin-1")).items()}
        if request.path == b"/state":
            return _json(state_of(self._dispatcher))
        if request.path == b"/explain":
            return self._explain(query.get("target", ""))
        name = query.get("node", "")
        if request.path == b"/join":
            return self._join(name, query.get("address", ""), query.get("weight", "1"))
        if name not in self._dispatcher.members:
            return _sentence(404, f"There is no node {name!r}; there are {', '.join(self._dispatcher.members)}.")
        if request.path == b"/leave":
            self._roster.leave(name)
            return _sentence(200, f"The node {name} has left.")
        return self._drain(name, request.path == b"/drain")

    def failure(self, request: Request, status: int = 500) -> Response:
        """See Answering."""
        return _sentence(status, "That cannot be answered.")

    def snapshot(self) -> dict[str, object]:
        """See Answering."""
        return {}

    def _explain(self, text: str) -> Response:
        target = parse_target(text.encode("latin-1", "replace"))
        if target is None:
            return _sentence(400, f"{text!r} is no target of a request; give one such as /index.html.")
        dispatcher = self._dispatcher
        mapped = list(dispatcher.policy.mapped(target.path))
        node = dispatcher.policy.explain(dispatcher.nodes, Asked(target.path), dispatcher.now.monotonic)
        state = state_of(dispatcher)
        chosen = node.name if node is not None else ""
        return _json(
            Explanation(text, state.policy, mapped, chosen, _why(mapped, chosen, dispatcher.policy_name), state.nodes)
        )

    def _join(self, name: str, address: str, weight: str) -> Response:
        """A node comes, or comes again with another address or weight. One that is as it was keeps what it has."""
        place = numeric(address)
        try:
            section = NodeSection(name, address=address, weight=float(weight))
        except ValueError:
            place = None
        if place is None or not name or not 0 < section.weight < math.inf:
            return _sentence(400, "A node has a name, an address in numbers (or unix:PATH), and a weight above 0.")
        before = self._dispatcher.members.get(name)
        if before is None or before.section != section:
            if before is not None:
                self._roster.leave(name)
            self._roster.join(section, place)
        return _sentence(200, f"The node {name} has joined.")

    def _drain(self, name: str, wanted: bool) -> Response:
        member = self._dispatcher.members[name]
        member.health.draining = wanted
        if member.passing is not None:
            member.passing.recall(wanted)
        self._dispatcher.review(member)
        what = "gets nothing new" if wanted else "gets its share again"
        return _sentence(200, f"The node {name} {what}; it has {member.node.load:.0f} connections.")


def _why(mapped: list[str], chosen: str, policy: str) -> str:
    if not chosen:
        return "No node is up."
    if chosen in mapped:
        return f"{chosen} is believed to have it in memory."
    if mapped:
        return f"{' and '.join(mapped)} should have it in memory, but may get no more now; {chosen} has least to do."
    return f"Nobody is believed to have it in memory, and by {policy} it is {chosen}'s turn."


def _json(value: object) -> Response:
    return _content(200, b"application/json", msgspec.json.encode(value))


def _sentence(status: int, text: str) -> Response:
    return _content(status, b"text/plain; charset=utf-8", f"{text}\n".encode())


def _content(status: int, kind: bytes, body: bytes) -> Response:
    fields = ((b"Server", b"flashpy"), (b"Content-Type", kind), (b"Content-Length", b"%d" % len(body)))
    return Response(Head(status, fields), (body,), close=status >= 400)
