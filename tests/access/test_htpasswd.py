"""Password files."""

import shutil
import subprocess
from pathlib import Path

import bcrypt
import pytest

from flashpy.access.htpasswd import MOST_COST, parse, read
from flashpy.errors import ConfigError
from flashpy.job.passwords import apr1, verify

GOOD = bcrypt.hashpw(b"secret", bcrypt.gensalt(4))
WEAK = apr1(b"secret", b"salt")


def test_users_and_their_hashes() -> None:
    """With comments, empty lines, other line ends and what stands behind a second colon."""
    text = b"# people\r\n\nanna:" + GOOD + b"\r\n  bert:" + GOOD + b":of the workshop  \n\xc3\xa4:" + GOOD
    users = parse(text, "file")
    assert users.hashes == {b"anna": GOOD, b"bert": GOOD, b"\xc3\xa4": GOOD}
    assert users.warnings == ()


def test_apr1_is_read_with_a_warning() -> None:
    """One for the file, which names the first."""
    users = parse(b"anna:" + GOOD + b"\nbert:" + WEAK + b"\ncarl:" + WEAK, "file")
    assert users.hashes[b"bert"] == WEAK
    (warning,) = users.warnings
    assert warning.startswith("file, line 2: the password of 'bert'") and "2 of 3 users" in warning


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"anna:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "stored as SHA-1 without a salt"),
        (b"anna:{SSHA}AAAA", "stored as SHA-1,"),
        (b"anna:$1$salt$0123456789012345678901", "stored as crypt's MD5"),
        (b"anna:$5$salt$abc", "stored as crypt's SHA-2"),
        (b"anna:$6$salt$abc", "stored as crypt's SHA-2"),
        (b"anna:rl0uE5PIdbTgw", "stored as crypt's DES"),
        (b"anna:secret", "is no bcrypt hash"),
        (b"anna:", "is no bcrypt hash"),
        (b"anna:" + GOOD[:-1], "not a whole one"),
        (b"anna:" + GOOD + b"x", "not a whole one"),
        (b"anna:$2x$" + GOOD[4:], r"a faulty bcrypt \(\$2x\$\)"),
        (b"anna:$2b$03$" + GOOD[7:], "cost 3, and the least is 4"),
        (b"anna:$2b$31$" + GOOD[7:], f"cost 31, which takes too long .at most {MOST_COST}"),
        (b"anna:" + GOOD[:28] + b"/" + GOOD[29:], "is no bcrypt hash"),  # the library would refuse this salt
        (b"anna:" + WEAK[:-1], "is no bcrypt hash"),
        (b"\xff:secret", r"the password of '\\\\xff'"),
    ],
)
def test_what_is_refused(line: bytes, said: str) -> None:
    """With the line, the user, the reason and what to do."""
    with pytest.raises(ConfigError, match=said) as caught:
        parse(b"# one\n" + line, "file")
    text = str(caught.value)
    assert text.startswith("file, line 2: the password of ") and text.endswith("; set it again with `htpasswd -B`.")
    assert "secret" not in text


@pytest.mark.parametrize("line", [b"anna", b":" + GOOD, b"<html>"])
def test_what_is_no_line_is_said(line: bytes) -> None:
    """Its text is not shown: it may be a password."""
    with pytest.raises(ConfigError, match=r"file, line 1: is not of the form user:hash; let htpasswd.1. write it"):
        parse(line, "file")


def test_a_user_who_is_there_twice() -> None:
    """Which of the two counts, programs do not agree on."""
    with pytest.raises(ConfigError, match="line 3: user 'anna' is in line 1 already"):
        parse(b"anna:" + GOOD + b"\n\nanna:" + WEAK, "file")


def test_reading_a_file(tmp_path: Path) -> None:
    """As htpasswd wrote it; and what cannot be read is said."""
    file = tmp_path / "users"
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read(file)
    htpasswd = shutil.which("htpasswd")
    if htpasswd is None:
        pytest.skip("no htpasswd here")
    subprocess.run([htpasswd, "-cbBC", "4", str(file), "anna", "secret"], capture_output=True, timeout=30, check=True)
    users = read(file)
    assert verify(users.hashes[b"anna"], b"secret")


def test_bcrypt_is_missed_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than when somebody logs in; without bcrypt hashes it is not needed."""
    monkeypatch.setattr("flashpy.access.htpasswd.find_spec", lambda name: None)
    file = tmp_path / "users"
    file.write_bytes(b"anna:" + WEAK)
    assert read(file).hashes
    file.write_bytes(b"anna:" + GOOD)
    with pytest.raises(ConfigError, match=r"need the package bcrypt: pip install 'flashpy-server\[auth\]'"):
        read(file)


def test_nobody_has_the_hash_of_an_unknown_user() -> None:
    """It is of the kind and cost of a user's, is the same each time, and all kinds that are there occur."""
    users = parse(b"anna:" + GOOD + b"\nbert:" + WEAK, "file")
    found = [users.hash_of(b"nobody%d" % number) for number in range(64)]
    assert found == [users.hash_of(b"nobody%d" % number) for number in range(64)]
    assert {text[:7] for text in found} == {GOOD[:7], WEAK[:7]}
    assert {len(text) for text in found} == {len(GOOD), len(WEAK)}
    for hashed in set(found):
        assert not verify(hashed, b"secret") and not verify(hashed, b"")
    assert users.hash_of(b"anna") == GOOD


def test_where_there_is_nobody() -> None:
    """An unknown user costs something all the same."""
    assert parse(b"", "file").hash_of(b"anna").startswith(b"$2b$12$")
