"""The JSON form."""

import json

from hypothesis import given
from hypothesis import strategies as st

from flashpy.http.request import KNOWN_METHODS, faulty
from flashpy.http.response import Head
from flashpy.log.combined import combined
from flashpy.log.jsonlines import json_lines
from flashpy.log.record import Cache
from tests.log.making import record


def test_a_line() -> None:
    """All that there is to be said, under the names of the semantic conventions."""
    fields = {b"user-agent": b"curl/8", b"referer": b"http://here/"}
    line = json_lines([record(target=b"/a%20b?c=d", fields=fields, client="::1", cache=Cache.MISS)])
    assert line.endswith(b"}\n")
    assert json.loads(line) == {
        "timestamp": "2026-11-22T16:00:00Z",
        "client.address": "::1",
        "http.request.method": "GET",
        "url.path": "/a%20b",
        "url.query": "c=d",
        "network.protocol.version": "1.1",
        "user_agent.original": "curl/8",
        "http.request.header.referer": ["http://here/"],
        "http.response.status_code": 200,
        "http.response.body.size": 12,
        "http.server.request.duration": 0.0015,
        "flashpy.cache": "miss",
    }


def test_what_is_absent_is_left_out() -> None:
    entry = json.loads(json_lines([record()]))
    assert not {"url.query", "user_agent.original", "http.request.header.referer"} & set(entry)


def test_a_method_that_nobody_knows() -> None:
    """As the conventions have it, so that names of methods stay few."""
    entry = json.loads(json_lines([record(method=b"BREW")]))
    assert (entry["http.request.method"], entry["http.request.method_original"]) == ("_OTHER", "BREW")
    assert "flashpy.cache" not in entry  # no cache was asked


def test_a_bad_request_has_no_state_of_the_cache() -> None:
    entry = json.loads(json_lines([record(fault=400)]))
    assert entry["http.response.status_code"] == 400 and "flashpy.cache" not in entry


def test_servers_that_log_in_different_forms_do_not_mix_them() -> None:
    """Bad requests have no fields: what is rendered of those is nobody else's."""
    records = [("::1", 0.0, faulty(400, b"x"), Head(400, ()), 0, 0.0, Cache.HIT) for _ in range(2)]
    assert b'"-" "-"' in combined(records[:1])
    assert json.loads(json_lines(records[1:]))["http.response.status_code"] == 400


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=12) | st.sampled_from(sorted(KNOWN_METHODS)),
            st.binary(max_size=40),
            st.dictionaries(st.sampled_from([b"referer", b"user-agent"]), st.binary(max_size=40)),
            st.sampled_from(Cache),
        ),
        max_size=4,
    )
)
def test_whatever_a_client_sends_each_line_is_an_object_with_its_own_values(
    asked: list[tuple[bytes, bytes, dict[bytes, bytes], Cache]],
) -> None:
    lines = json_lines(
        record(method, target, fields=fields, cache=cache) for method, target, fields, cache in asked
    ).split(b"\n")
    assert lines.pop() == b""
    for (_, target, fields, _), line in zip(asked, lines, strict=True):
        assert all(0x20 <= byte < 0x7F for byte in line)
        pairs = json.loads(line, object_pairs_hook=list)
        entry = dict(pairs)
        assert len(entry) == len(pairs)
        assert entry["url.path"] == target.partition(b"?")[0].decode(errors="backslashreplace")
        agent = fields.get(b"user-agent", b"").decode(errors="backslashreplace")
        assert entry.get("user_agent.original", "") == agent
        assert entry["http.response.status_code"] == 200
