"""Which Host fields an admin address answers."""

import pytest

from flashpy.admin.hosts import is_ours


@pytest.mark.parametrize(
    "host",
    [
        *(
            "",
            "localhost",
            "localhost:9180",
            "LOCALHOST",
            "localhost.",
            "app.localhost:80",
            "127.0.0.1:9180",
            "10.0.0.7",
        ),
        *("[::1]", "[::1]:9180", "[2001:db8::7]:80", "status.example.org", "status.example.org:9180"),
    ],
)
def test_numbers_localhost_and_names_that_are_configured(host: str) -> None:
    assert is_ours(host.encode(), {"status.example.org"})


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:9180", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example."),
        *("example.org", "x.status.example.org", "[evil.example]", "2130706433", "\xff"),
    ],
)
def test_any_other_name_may_be_anybodys(host: str) -> None:
    """A page of another's can have its own name lead to 127.0.0.1 (DNS rebinding)."""
    assert not is_ours(host.encode("latin-1"), {"status.example.org"})
