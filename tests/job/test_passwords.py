"""Verifying passwords."""

import shutil
import subprocess
import sys

import bcrypt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flashpy.job.passwords import BCRYPT_BYTES, MOST_BYTES, apr1, prepare, verify
from tests.test_house import REPOSITORY

OPENSSL = shutil.which("openssl")
HTPASSWD = shutil.which("htpasswd")
NEVER = b"$2b$04$" + b"." * 53


@pytest.mark.parametrize(
    ("password", "salt", "hashed"),
    [
        (b"myPassword", b"qHDFfhPC", b"$apr1$qHDFfhPC$nITSVHgYbDAK1Y0acGRnY0"),  # from apr's own documentation
        (b"", b"xxxxxxxx", None),
        (b"a", b"x", None),
        (b"0123456789abcdef", b"./AZaz09", None),
        (b"0123456789abcdef0", b"abc", None),
        ("Grüße, 世界".encode(), b"salt", None),
        (b"p" * 200, b"12345678", None),
    ],
)
def test_apr1_is_that_of_others(password: bytes, salt: bytes, hashed: bytes | None) -> None:
    """As OpenSSL computes it."""
    if hashed is not None:
        assert apr1(password, salt) == hashed
    if OPENSSL is None:
        pytest.skip("no openssl here")
    made = subprocess.run(
        [OPENSSL, "passwd", "-apr1", "-salt", salt.decode(), "-stdin"],
        input=password + b"\n",
        capture_output=True,
        timeout=30,
        check=True,
    ).stdout.strip()
    assert apr1(password, salt) == made
    assert verify(made, password)
    assert not verify(made, password + b"x")


@given(st.binary(max_size=70), st.binary(max_size=70))
@settings(max_examples=25, deadline=None)
@example(b"", b"\0")
def test_no_other_password_passes(password: bytes, other: bytes) -> None:
    """By either algorithm, within what bcrypt looks at."""
    for hashed in (apr1(password, b"salt"), bcrypt.hashpw(password, bcrypt.gensalt(4))):
        assert verify(hashed, password) is (b"\0" not in password)
        if other != password:
            assert not verify(hashed, other)


@pytest.mark.parametrize("version", [b"$2a$", b"$2b$", b"$2y$"])
def test_all_bcrypts_are_verified(version: bytes) -> None:
    """They differ in the name of the program that wrote them."""
    hashed = version + bcrypt.hashpw(b"secret", bcrypt.gensalt(4))[4:]
    assert verify(hashed, b"secret")
    assert not verify(hashed, b"Secret")


def test_what_htpasswd_wrote_passes() -> None:
    """A long password, too, of which bcrypt takes a part."""
    if HTPASSWD is None:
        pytest.skip("no htpasswd here")
    for password in (b"secret", b"a" * 80):
        for how in (("-nbBC", "4"), ("-nbm",)):
            line = subprocess.run(
                [HTPASSWD, *how, "user", password.decode()],
                capture_output=True,
                timeout=30,
                check=True,
            ).stdout
            assert verify(line.strip().partition(b":")[2], password)


def test_lengths_have_bounds() -> None:
    """RFC 7617 has none; bcrypt and reason have."""
    hashed = bcrypt.hashpw(b"a" * BCRYPT_BYTES, bcrypt.gensalt(4))
    assert verify(hashed, b"a" * 100)
    assert not verify(hashed, b"a" * (BCRYPT_BYTES - 1))
    assert not verify(hashed, b"a" * (MOST_BYTES + 1))
    assert not verify(apr1(b"a" * (MOST_BYTES + 1), b"salt"), b"a" * (MOST_BYTES + 1))


@pytest.mark.parametrize("hashed", [b"", b"plain", b"$2b$", b"$2b$04$short", b"$apr1$", b"$apr1$salt$", b"{SHA}x"])
def test_what_is_no_hash_lets_nobody_in(hashed: bytes) -> None:
    """Nor is it an error: the job has an answer."""
    assert not verify(hashed, b"")
    assert not verify(hashed, hashed)


def test_a_hash_without_a_password_lets_nobody_in() -> None:
    """It is what unknown users are verified against."""
    assert not verify(NEVER, b"") and not verify(NEVER, b"x")


def test_bcrypt_is_imported_when_needed() -> None:
    """A helper that never verifies never has it, and one that may read nothing later has it before."""
    script = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n"
        "from flashpy.job.passwords import apr1, prepare, verify\n"
        "assert verify(apr1(b'a', b'b'), b'a') and 'bcrypt' not in sys.modules\n"
        "prepare()\n"
        "print('bcrypt' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "True"
    prepare()
