"""What HAProxy says and is told, and what is decided: without HAProxy."""

import pytest

from flashpy.cluster.choosing import Parameters
from flashpy.cluster.haproxy.decisions import Decisions
from flashpy.cluster.haproxy.speech import Request, Server, asking, entries, request_of, statistics_of
from flashpy.cluster.nodes import Standing
from flashpy.cluster.policy import policy

SAID = """Name: HAProxy
Version: 2.6.12
Pid: 31171
Uptime: 0d

# pxname,svname,qcur,scur,status,weight,sid,
nodes,a,2,3,UP,100,1,
nodes,b,0,0,DOWN 1/2,50,2,
nodes,c,0,0,no check,0,3,
nodes,d,0,0,DRAIN,1,4,

"""


def server(name: str, load: int = 0, standing: Standing = Standing.UP, weight: int = 1) -> Server:
    """One whose number follows from its name."""
    return Server(name, ord(name), load, weight, standing)


def decisions(*servers: Server, most: int = 100, name: str = "lard") -> Decisions:
    """With low thresholds."""
    found = Decisions(policy(name, Parameters(t_low=2, t_high=4)), most)
    found.seen(servers)
    return found


def asked(found: Decisions, target: int, name: str, status: int = 200) -> None:
    """A server has answered a request for a target."""
    found.asked(Request(target, name, status, 1000), 0.0)


def test_statistics() -> None:
    """What waits for a server is part of its load."""
    assert statistics_of(SAID) == (
        31171,
        [
            Server("a", 1, 5, 100, Standing.UP),
            Server("b", 2, 0, 50, Standing.DOWN),
            Server("c", 3, 0, 0, Standing.UP),
            Server("d", 4, 0, 1, Standing.DRAINING),
        ],
    )


@pytest.mark.parametrize("text", ["", "Name: HAProxy\nPid: 1\n\nNo such proxy.\n", "Permission denied\n"])
def test_no_statistics(text: str) -> None:
    """What was said instead is what went wrong."""
    with pytest.raises(ValueError, match=text.strip().rpartition("\n")[2] or "nothing"):
        statistics_of(text)


def test_lines_of_the_log() -> None:
    """The last byte may be the end of the line."""
    assert request_of(b"4294967295 node1 304 197\n") == (4294967295, "node1", 304, 197)
    assert request_of(b"1 <NOSRV> 503 0") == (1, "<NOSRV>", 503, 0)


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"- node1 400 0", b"1 a b 200 0", b"1;set table x 200 0", b"1\n2 a 200 0", b"1 a 200 0\nx"),
        *(b"12345678901 a 200 0", b"1 a -1 0", b"1 a 200 0 9", b"\xff", b"1 \xe4 200 0"),
    ],
)
def test_lines_of_another_form(line: bytes) -> None:
    """They are left out: others may write to the socket as well."""
    assert request_of(line) is None


def test_commands() -> None:
    """Several to a line, so many as fit."""
    assert asking("nodes") == "show info;show stat nodes 4 -1\n"
    lines = list(entries("nodes", [(4294967295, 100 + n) for n in range(401)]))
    assert [line.count("set table") for line in lines] == [200, 200, 1]
    assert lines[2] == "set table nodes key 4294967295 data.server_id 500\n"
    assert max(map(len, lines)) < 16384


def test_a_new_target_stays_where_it_is() -> None:
    """Its server has it in memory now, even though another has less to do."""
    found = decisions(server("a", 3), server("b"))
    asked(found, 7, "a")
    assert found.untold() == [(7, ord("a"))]
    asked(found, 7, "a")
    assert found.untold() == []


def test_a_target_moves_by_lards_rule() -> None:
    """And the next one does not follow it to a server that has enough by that."""
    found = decisions(server("a", 5), server("b", 1), server("c", 1))
    for target in (7, 8, 9):
        asked(found, target, "a")
        asked(found, target, "a")
    assert found.untold() == [(7, ord("b")), (8, ord("c")), (9, ord("a"))]
    assert found.moved == 2


def test_a_set_of_servers() -> None:
    """LARD/R: the entry names the one that has least to do."""
    found = decisions(server("a", 5), server("b", 1), name="lard-r")
    asked(found, 7, "a")
    asked(found, 7, "a")
    assert found.untold() == [(7, ord("b"))]
    found.seen([server("a", 0), server("b", 1)])
    asked(found, 7, "b")
    assert found.untold() == [(7, ord("a"))]


def test_what_went_elsewhere_is_told_again() -> None:
    """HAProxy may have dropped the entry."""
    found = decisions(server("a"), server("b"))
    asked(found, 7, "a")
    found.untold()
    asked(found, 7, "b")
    assert found.untold() == [(7, ord("a"))]


def test_what_is_not_decided() -> None:
    """Errors, and what no server has answered."""
    found = decisions(server("a"))
    asked(found, 1, "a", 404)
    asked(found, 2, "<NOSRV>", 503)
    asked(found, 3, "x")
    assert (len(found), found.untold()) == (0, [])


def test_a_server_that_is_down_or_gone() -> None:
    """Its targets get another when they are asked for again."""
    found = decisions(server("a"), server("b"))
    asked(found, 7, "a")
    asked(found, 8, "b")
    found.untold()
    found.seen([server("a", standing=Standing.DOWN), server("b")])
    asked(found, 7, "b")
    assert found.untold() == [(7, ord("b"))]
    found.seen([server("a")])
    found.tell_all()
    assert found.untold() == []
    asked(found, 8, "a")
    assert found.untold() == [(8, ord("a"))]


def test_an_answer_of_a_server_that_is_down() -> None:
    """It has the file; but the target goes to one that is up."""
    found = decisions(server("a", standing=Standing.DOWN), server("b", 1))
    asked(found, 7, "a")
    assert found.untold() == [(7, ord("b"))]
    found.seen([server("a", standing=Standing.DOWN), server("b", standing=Standing.DOWN)])
    asked(found, 9, "a")
    assert found.untold() == []


def test_no_more_targets_than_are_to_be_kept() -> None:
    """What was decided first goes."""
    found = decisions(server("a"), most=3)
    for target in range(5):
        asked(found, target, "a")
    assert [target for target, _ in found.untold()] == [2, 3, 4]
    found.tell_all()
    assert [target for target, _ in found.untold()] == [2, 3, 4]


def test_numbers_and_weights_may_change() -> None:
    """As by another configuration; what was decided is by the server's name."""
    found = decisions(server("a", 4, weight=100), server("b", 4, weight=50))
    asked(found, 7, "a")
    found.seen([Server("a", 9, 6, 50, Standing.UP), Server("b", 8, 1, 100, Standing.UP)])
    assert found.untold() == [(7, 9)]
    asked(found, 7, "a")
    assert found.untold() == [(7, 8)]
