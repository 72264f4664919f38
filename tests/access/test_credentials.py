"""Basic authentication in a request and in a challenge."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.access.credentials import Credentials, challenge, parse_basic

TEXT = st.text(st.characters(min_codepoint=0x20, exclude_characters="\x7f", codec="utf-8"), max_size=30)


@given(TEXT.filter(lambda user: user and ":" not in user), TEXT)
def test_what_is_sent_is_read(user: str, password: str) -> None:
    """RFC 7617, 2: a password may have colons in it, and be empty; UTF-8."""
    text = f"{user}:{password}".encode()
    assert parse_basic(b"Basic " + b64encode(text)) == Credentials(user.encode(), password.encode())


@given(st.binary(max_size=40))
def test_any_value_has_an_answer(value: bytes) -> None:
    """Credentials or none; never an error."""
    parse_basic(value)
    parse_basic(b"Basic " + value)
    parse_basic(b"Basic " + b64encode(value))


def test_the_scheme_has_no_case() -> None:
    """RFC 9110, 11.1; and the example of RFC 7617, 2."""
    wanted = Credentials(b"Aladdin", b"open sesame")
    for value in (b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", b"bAsIC   QWxhZGRpbjpvcGVuIHNlc2FtZQ=="):
        assert parse_basic(value) == wanted


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"Basic",
        b"Basic ",
        b"Basic\tYTpi",
        b"Basic YTpi, Basic YTpi",
        b"Basic YTpi Yg",
        b"Basic YTp",
        b"Basic YTpi=",
        b"Basic Y*Tpi",
        b"Bearer YTpi",
        b"BasicYTpi",
        b"Basic " + b64encode(b"nocolon"),
        b"Basic " + b64encode(b":password"),
        b"Basic " + b64encode(b"user:pass\0word"),
        b"Basic " + b64encode(b"us\ner:password"),
        b"Basic " + b64encode(b"user:\x7f"),
        b"Basic " + b64encode(b"user:\xff"),
    ],
)
def test_what_is_malformed_is_nobody(value: bytes | None) -> None:
    """So it is answered 401, not 400 (RFC 9110, 11.6.2)."""
    assert parse_basic(value) is None


def test_a_password_is_not_shown() -> None:
    """Neither in a log nor in a traceback."""
    assert "secret" not in repr(Credentials(b"anna", b"secret"))


def test_the_challenge() -> None:
    """RFC 7617, 2.1; the realm is a quoted-string (RFC 9110, 5.6.4)."""
    assert challenge('the "inner" \\ area') == (
        (b"WWW-Authenticate", b'Basic realm="the \\"inner\\" \\\\ area", charset="UTF-8"'),
    )
    for realm in ("a\r\nSet-Cookie: b", "Grüße", "\0"):
        with pytest.raises(ValueError, match="is no realm"):
            challenge(realm)
