"""A table of what RFC 9110, 9111 and 9112 demand of an origin server for files, to be put to any server.

Each case has its section, the bytes that are sent over a raw socket, and checks of what comes back; it speaks only of
what the RFCs demand, over the small tree of ``tree.build``. ``judge`` puts a case to a server. What a server may leave
out, a case names as what it needs; that a server offers it is found by asking (``judge.offered``).
"""

from tests.conformance.cases import (
    caching,
    coding,
    conditional,
    connection,
    fields,
    framing,
    metadata,
    methods,
    ranges,
    request_line,
)
from tests.conformance.cases.case import Case

CASES: tuple[Case, ...] = (
    *request_line.CASES,
    *fields.CASES,
    *framing.CASES,
    *connection.CASES,
    *methods.CASES,
    *metadata.CASES,
    *coding.CASES,
    *conditional.CASES,
    *ranges.CASES,
    *caching.CASES,
)
"""The table, in the order of the RFCs."""
