"""Which stored variant an Accept-Encoding prefers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.http.coding import SUFFIXES, choose

ALL = tuple(SUFFIXES)


@pytest.mark.parametrize(
    ("accept", "available", "coding"),
    [
        (None, ALL, None),
        (b"", ALL, None),
        (b"gzip", ALL, b"gzip"),
        (b"GZip", ALL, b"gzip"),
        (b"x-gzip", ALL, b"gzip"),
        (b"gzip, deflate, br, zstd", ALL, b"br"),
        (b"gzip, zstd", ALL, b"zstd"),
        (b"gzip;q=1.0, br;q=0.5", ALL, b"gzip"),
        (b"gzip, br", (b"gzip",), b"gzip"),
        (b"gzip, br", (), None),
        (b"deflate", ALL, None),
        (b"*", ALL, b"br"),
        (b"*;q=0.5, br;q=0", ALL, b"zstd"),
        (b"*;q=0", ALL, None),
        (b"gzip;q=0", ALL, None),
        (b"br;q=0, *", ALL, b"zstd"),
        (b"identity", ALL, None),
        (b"identity, gzip;q=0.5", ALL, None),
        (b"identity;q=0.5, gzip", ALL, b"gzip"),
        (b"identity;q=0.5, gzip;q=0.5", ALL, b"gzip"),
        (b"identity;q=0, *;q=0", ALL, None),
        (b"gzip;q=nonsense", ALL, None),
        (b"gzip;q=0.001", ALL, b"gzip"),
    ],
)
def test_choose(accept: bytes | None, available: tuple[bytes, ...], coding: bytes | None) -> None:
    """RFC 9110, 12.5.3 and 8.4.1.3; without the field, identity."""
    assert choose(accept, available) == coding


NAMES = st.sampled_from([b"br", b"zstd", b"gzip", b"identity", b"*", b"deflate"])


@given(st.dictionaries(NAMES, st.integers(0, 1000), min_size=1), st.sets(st.sampled_from(ALL)))
def test_what_is_chosen_is_acceptable_and_best(weights: dict[bytes, int], available: set[bytes]) -> None:
    """RFC 9110, 12.5.3: never a coding of weight 0, nor one that another or identity outweighs."""
    accept = b", ".join(b"%s;q=%d.%03d" % (name, *divmod(weight, 1000)) for name, weight in weights.items())
    coding = choose(accept, [name for name in ALL if name in available])
    weight = {name: weights.get(name, weights.get(b"*", 0)) for name in available}
    best = max(weight.values(), default=0)
    if coding is None:
        assert best == 0 or weights.get(b"identity", -1) > best
    else:
        assert coding in available
        assert weight[coding] == best > 0
        assert weights.get(b"identity", 0) <= best
