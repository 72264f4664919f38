"""Verifying a password against its hash: the work of a CPU helper, for it takes a tenth of a second by intention.

bcrypt is the package ``bcrypt`` (extra ``auth``), imported when it is first needed. ``$apr1$`` is Apache's variant of
the MD5 crypt by Poul-Henning Kamp (apr_md5.c).
"""

from hashlib import md5
from hmac import compare_digest

BCRYPT_BYTES = 72
"""bcrypt looks at no more of a password, and htpasswd cuts there (so a longer one passes by its beginning)."""

MOST_BYTES = 1_024
"""Longer passwords do not pass: nobody has one, and apr1's time grows with the length."""

_APR1 = b"$apr1$"
_ALPHABET = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ORDER = ((0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5))


def prepare() -> None:
    """Import what ``verify`` needs if it is there: for a fork server, whose helpers may read no file later."""
    try:
        import bcrypt  # noqa: F401
    except ImportError:
        pass


def verify(hashed: bytes, password: bytes) -> bool:
    """Whether a password has this hash, which is bcrypt's or ``$apr1$...``. It takes as long for a wrong one.

    Raises:
        ImportError: the package bcrypt is needed and missing.
    """
    if len(password) > MOST_BYTES or b"\0" in password:  # NUL ends passwords in C: what is behind would not count
        return False
    if hashed.startswith(_APR1):
        salt = hashed[len(_APR1) :].partition(b"$")[0]
        return compare_digest(apr1(password, salt), hashed)
    import bcrypt

    try:
        return bool(bcrypt.checkpw(password[:BCRYPT_BYTES], hashed))
    except ValueError:  # no hash of bcrypt's
        return False


def apr1(password: bytes, salt: bytes) -> bytes:
    """The ``$apr1$`` hash of a password; of the salt the first 8 bytes count."""
    salt = salt[:8]
    inner = md5(password + salt + password, usedforsecurity=False).digest()
    text = password + _APR1 + salt
    text += (inner * (len(password) // 16 + 1))[: len(password)]
    length = len(password)
    while length:  # for each bit of the length: a NUL, or the password's first byte
        text += b"\0" if length & 1 else password[:1]
        length >>= 1
    final = md5(text, usedforsecurity=False).digest()
    for turn in range(1_000):
        odd = turn & 1
        text = password if odd else final
        text += salt if turn % 3 else b""
        text += password if turn % 7 else b""
        text += final if odd else password
        final = md5(text, usedforsecurity=False).digest()
    return _APR1 + salt + b"$" + _encoded(final)


def _encoded(digest: bytes) -> bytes:
    """16 bytes in the order and the 64 signs of crypt(5), least significant first."""
    out = bytearray()
    for first, second, third in _ORDER:
        number = digest[first] << 16 | digest[second] << 8 | digest[third]
        out += bytes(_ALPHABET[number >> shift & 63] for shift in (0, 6, 12, 18))
    return bytes(out + bytes((_ALPHABET[digest[11] & 63], _ALPHABET[digest[11] >> 6])))
