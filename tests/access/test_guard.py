"""Guards: the order of what is asked, both ways of combining it, and no way around."""

import re
from base64 import b64encode

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.access.attempts import FAILURES, VALID, Attempts
from flashpy.access.guard import (
    LONGEST_REMEMBERED,
    MOST_REMEMBERED,
    PRIVATE,
    Access,
    Basic,
    Guard,
    Refusal,
    Satisfy,
    judge,
)
from flashpy.access.htpasswd import parse
from flashpy.access.networks import Networks
from flashpy.access.signed import sign
from flashpy.http.request import Request
from flashpy.http.target import NO_FILE, parse_target
from flashpy.job import passwords
from flashpy.job.kinds import Verify
from flashpy.now import Now
from tests.http.making import request

KEY = b"0123456789abcdef"
UNTIL = 2_000
INSIDE, OUTSIDE = "10.0.0.1", "192.0.2.1"
USERS = parse(b"anna:" + bcrypt.hashpw(b"secret", bcrypt.gensalt(4)), "file")
HOME = Networks(("10.0.0.0/8",))
CHALLENGE = (b"WWW-Authenticate", b'Basic realm="here", charset="UTF-8"')


def by(user: str, password: str, target: bytes = b"/a") -> Request:
    """A request with credentials."""
    return request(target, authorization=b"Basic " + b64encode(f"{user}:{password}".encode()))


def basic(attempts: Attempts | None = None) -> Basic:
    """One user's."""
    return Basic("here", USERS, attempts or Attempts())


def ask(guard: Guard, asked: Request, client: str = OUTSIDE, now: Now | None = None) -> Refusal | None:
    """The verdict, with the password verified as a helper does it."""
    now = now or Now(0.0, 1_000.0)
    verdict = guard.judge(asked, client, now)
    if isinstance(verdict, Verify):
        verdict = guard.judge(asked, client, now, (verdict, passwords.verify(*verdict)))
    assert not isinstance(verdict, Verify)
    return verdict


def status(verdict: Refusal | None) -> int:
    """0: let through."""
    return verdict.status if verdict else 0


def test_a_password() -> None:
    """401 with a challenge (RFC 9110, 15.5.2) for no, malformed and wrong credentials; the right ones get through."""
    guard = Guard(basic=basic())
    assert ask(guard, by("anna", "secret")) is None
    for asked in (request(b"/a"), request(b"/a", authorization=b"Basic !"), by("anna", "no"), by("bert", "secret")):
        refusal = ask(guard, asked)
        assert refusal is not None and refusal.status == 401
        assert CHALLENGE in refusal.fields and (b"Cache-Control", b"no-store") in refusal.fields
    assert guard.fields == PRIVATE


def test_a_password_is_verified_once_a_minute() -> None:
    """And then again."""
    guard, asked = Guard(basic=basic()), by("anna", "secret")
    wanted = guard.judge(asked, OUTSIDE, Now(0.0))
    assert isinstance(wanted, Verify)
    assert guard.judge(asked, OUTSIDE, Now(1.0), (wanted, True)) is None
    assert guard.judge(asked, OUTSIDE, Now(VALID)) is None
    assert isinstance(guard.judge(by("anna", "Secret"), OUTSIDE, Now(VALID)), Verify)
    assert isinstance(guard.judge(asked, OUTSIDE, Now(1.0 + VALID)), Verify)


def test_an_unknown_user_costs_the_same_and_never_passes() -> None:
    """Whatever is verified for it."""
    guard, asked = Guard(basic=basic()), by("bert", "secret")
    verdict = guard.judge(asked, OUTSIDE, Now())
    assert isinstance(verdict, Verify) and verdict.hashed[:7] == USERS.hashes[b"anna"][:7]
    refusal = guard.judge(asked, OUTSIDE, Now(), (verdict, True))
    assert isinstance(refusal, Refusal) and refusal.status == 401
    assert isinstance(guard.judge(asked, OUTSIDE, Now()), Verify)


def test_too_many_failures() -> None:
    """429 with Retry-After (RFC 6585, 4), for this client only, and not for whose password has passed."""
    guard, now = Guard(basic=basic()), Now(0.0)
    assert ask(guard, by("anna", "secret"), now=now) is None
    for number in range(FAILURES):
        assert status(ask(guard, by("anna", str(number)), now=now)) == 401
    refusal = guard.judge(by("anna", "x"), OUTSIDE, now)
    assert isinstance(refusal, Refusal) and refusal.status == 429
    assert (b"Retry-After", b"6") in refusal.fields and (b"Cache-Control", b"no-store") in refusal.fields
    assert guard.judge(by("anna", "secret"), OUTSIDE, now) is None
    assert status(ask(guard, request(b"/a"), now=now)) == 401
    assert status(ask(guard, by("anna", "x"), "192.0.2.2", now)) == 401
    assert status(ask(guard, by("anna", "x"), now=Now(5.5))) == 429
    assert status(ask(guard, by("anna", "x"), now=Now(6.0))) == 401


def test_networks() -> None:
    """An allowed client and then a denied one, with the very same request."""
    guard, asked = Guard(HOME), request(b"/a")
    assert [status(ask(guard, asked, client)) for client in (INSIDE, OUTSIDE, INSIDE, "unix:", "")] == [
        0,
        403,
        0,
        403,
        403,
    ]
    assert guard.fields == PRIVATE


def test_signatures() -> None:
    """One address, before and after; 403 for what is not signed, 410 for what was."""
    guard = Guard(keys=(KEY,))
    asked = request(b"/a?" + sign(KEY, b"/a", UNTIL))
    assert ask(guard, asked, now=Now(0.0, UNTIL - 1)) is None
    assert status(ask(guard, asked, now=Now(0.0, UNTIL))) == 410
    for other in (request(b"/a"), request(b"/b?" + asked.query), request(b"/a?" + sign(b"another key 1234", b"/a", 3))):
        assert status(ask(guard, other)) == 403
    assert ask(guard, request(b"/%61?" + asked.query, b"HEAD")) is None


@pytest.mark.parametrize("network", [True, False])
@pytest.mark.parametrize("signature", [True, False])
@pytest.mark.parametrize("password", ["secret", "wrong", None])
def test_all_or_any(network: bool, signature: bool, password: str | None) -> None:
    """As nginx's "satisfy"."""
    target = b"/a?" + sign(KEY, b"/a", UNTIL) if signature else b"/a"
    asked = by("anna", password, target) if password else request(target)
    client = INSIDE if network else OUTSIDE
    right = password == "secret"
    every = status(ask(Guard(HOME, (KEY,), basic()), asked, client))
    assert every == (403 if not (network and signature) else 0 if right else 401)
    some = status(ask(Guard(HOME, (KEY,), basic(), Satisfy.ANY), asked, client))
    assert some == (0 if network or signature or right else 401)
    without = status(ask(Guard(HOME, (KEY,), satisfy=Satisfy.ANY), asked, client))
    assert without == (0 if network or signature else 403)


def test_what_is_refused_anyway_costs_no_verification() -> None:
    """With "all", networks and signatures come first; with "any", what they let through needs no password."""
    attempts = Attempts()
    assert status(Guard(HOME, (), basic(attempts)).judge(by("anna", "x"), OUTSIDE, Now())) == 403  # type: ignore[arg-type]
    assert Guard(HOME, (), basic(attempts), Satisfy.ANY).judge(by("anna", "x"), INSIDE, Now()) is None
    assert len(attempts.failures) == 0


def test_a_guard_that_demands_nothing() -> None:
    """It makes an exception, and says nothing of caching."""
    assert ask(Guard(), request(b"/a")) is None
    assert ask(Guard(satisfy=Satisfy.ANY), request(b"/a")) is None
    assert Guard().fields == ()


def pattern(text: bytes) -> re.Pattern[bytes]:
    """A pattern over all of a path; a path may have a line feed in it."""
    return re.compile(text, re.DOTALL)


ADMIN, EXCEPT = Guard(HOME), Guard()
ACCESS = Access([(pattern(rb"/admin/public/.*"), EXCEPT), (pattern(rb"/admin(?:/.*)?"), ADMIN)])


@pytest.mark.parametrize(
    "target",
    [
        b"/admin/x",
        b"/admin",
        b"/admin/",
        b"/%61dmin/x",
        b"/%61%64%6D%69%6e/x",
        b"//admin/x",
        b"///admin//x",
        b"/./admin/x",
        b"/x/../admin/x",
        b"/x/%2e%2e/admin/x",
        b"/x/%2E./admin/./x",
        b"/admin/public/../x",
        b"/admin/public/%2e%2e/x",
        b"/admin//public/..//x",
        b"/admin/x?/admin/public/",
        b"/admin/x%0A",
        b"/admin/%0Ax",
        b"/admin/x/.",
        b"/admin/x/..",
        b"/admin/%2e",
        b"/admin;v=1/../admin/x",
        b"http://example/admin/x",
        b"HTTP://example//admin/x",
        b"/admin/\xff",
        b"/admin/%ff",
    ],
)
def test_there_is_no_way_around(target: bytes) -> None:
    """However a path is written, it is judged as it is looked up: decoded once, and normalised."""
    taken = parse_target(target)
    assert taken is not None
    assert ACCESS.guard_for(taken.path) is ADMIN
    asked = request(target)
    assert asked.path == taken.path and status(ask(ADMIN, asked)) == 403


@pytest.mark.parametrize(
    "target",
    [b"/admin%2Fx", b"/x%2F..%2Fadmin/x", b"/%2Fadmin/x", b"/admin/%2e%2e%2fx", b"/.%2Fadmin/x"],
)
def test_an_encoded_slash_leads_nowhere(target: bytes) -> None:
    """No file has such a path, guarded or not."""
    taken = parse_target(target)
    assert taken is not None and taken.path == NO_FILE


@pytest.mark.parametrize(
    "target", [b"/ADMIN/x", b"/admin./x", b"/admin%20/x", b"/%2561dmin/x", b"/admin%5Cx", b"/admin;/x"]
)
def test_other_names_are_other_files(target: bytes) -> None:
    """On a file system that tells names apart by all their bytes; nothing is decoded twice."""
    taken = parse_target(target)
    assert taken is not None and not taken.path.startswith((b"/admin/", NO_FILE))
    assert ACCESS.guard_for(taken.path) is None


SEGMENTS = st.sampled_from([b"", *b"admin %61dmin . .. %2e %2e%2E x %0A public".split(b" ")])


@given(st.lists(SEGMENTS, min_size=1, max_size=8))
def test_a_guard_follows_the_path_by_which_files_are_found(segments: list[bytes]) -> None:
    """Whatever the target: a path beneath the directory is judged by its guard, and no other is."""
    taken = parse_target(b"/" + b"/".join(segments))
    if taken is None:
        return
    names = taken.path[1:].split(b"/")
    expected = None
    if names[0] == b"admin":
        expected = EXCEPT if len(names) > 2 and names[1] == b"public" else ADMIN
    assert ACCESS.guard_for(taken.path) is expected
    assert ACCESS.guard_for(taken.path) is expected


def test_the_path_that_answers_is_judged_too() -> None:
    """An index, a clean URL or a fallback has a name of its own; equal guards are asked once."""
    assert ACCESS.guards_for(b"/", b"/admin/index.html") == (ADMIN,)
    assert ACCESS.guards_for(b"/admin/", b"/admin/index.html") == (ADMIN,)
    assert ACCESS.guards_for(b"/admin/public/x", b"/admin/x") == (EXCEPT, ADMIN)
    assert ACCESS.guards_for(b"/x") == ()
    assert ACCESS and not Access([])


def test_several_guards_in_turn() -> None:
    """Each with a password of its own to verify, for one request."""
    attempts = Attempts()
    other = parse(b"anna:" + bcrypt.hashpw(b"secret", bcrypt.gensalt(4)), "other")
    guards = (Guard(basic=basic(attempts)), Guard(HOME), Guard(basic=Basic("there", other, attempts)))
    asked, now = by("anna", "secret"), Now()
    first = judge(guards, asked, INSIDE, now)
    assert isinstance(first, Verify) and first.hashed == USERS.hashes[b"anna"]
    second = judge(guards, asked, INSIDE, now, (first, True))
    assert isinstance(second, Verify) and second.hashed == other.hashes[b"anna"]
    refused = judge(guards, asked, INSIDE, now, (second, False))
    assert isinstance(refused, Refusal) and b'realm="there"' in refused.fields[0][1]
    second = judge(guards, asked, INSIDE, now)
    assert isinstance(second, Verify)
    assert judge(guards, asked, INSIDE, now, (second, True)) is None
    assert judge(guards, asked, INSIDE, now) is None
    assert status(judge(guards, asked, OUTSIDE, now)) == 403  # type: ignore[arg-type]
    assert attempts.failures.tokens(INSIDE, 0.0) == FAILURES - 1


def test_equal_requests_that_waited_for_one_job() -> None:
    """Each gets the verdict, and all of them have cost one failure."""
    attempts = Attempts()
    guards, asked, now = (Guard(basic=basic(attempts)),), by("anna", "wrong"), Now()
    wanted = [judge(guards, asked, OUTSIDE, now) for _ in range(2 * FAILURES)]
    assert len(set(wanted)) == 1 and isinstance(wanted[0], Verify)
    verdicts = [judge(guards, asked, OUTSIDE, now, (wanted[0], False)) for _ in wanted]
    assert {verdict.status for verdict in verdicts if isinstance(verdict, Refusal)} == {401}
    assert attempts.failures.tokens(OUTSIDE, 0.0) == FAILURES - 1


def test_what_is_remembered_is_bounded() -> None:
    """By number and by length: clients choose the paths."""
    access = Access([(pattern(rb"/a.*"), ADMIN)])
    for number in range(MOST_REMEMBERED + 10):
        access.guard_for(b"/%d" % number)
    assert access.guard_for(b"/a" + b"x" * LONGEST_REMEMBERED) is ADMIN
    assert len(access._remembered) <= MOST_REMEMBERED
    assert all(len(path) <= LONGEST_REMEMBERED for path in access._remembered)


def test_passwords_are_not_shown() -> None:
    """A job may be logged."""
    verdict = Guard(basic=basic()).judge(by("anna", "secret"), OUTSIDE, Now())
    assert "secret" not in repr(verdict) and "secret" not in str(ask(Guard(basic=basic()), by("bert", "secret")))
