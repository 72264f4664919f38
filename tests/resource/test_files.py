"""Files: from the caches or by jobs, on a real directory, with a clock that the tests turn."""

import gc
import os
from collections import deque
from collections.abc import Callable
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest

from flashpy.buffers import Aggregate, Slice
from flashpy.http.request import Request
from flashpy.http.response import Response
from flashpy.job.kinds import Check, Job, Outcome, Result, Translate, always
from flashpy.job.perform import perform
from flashpy.now import Now
from flashpy.resource.answer import Answer, Pending
from flashpy.resource.caches import Caches
from flashpy.resource.errors import ErrorPages
from flashpy.resource.files import Files
from flashpy.resource.root import Root, absolute
from flashpy.settings import CacheSection
from tests.http.making import request

WALL = 1_700_000_000.0
OLD = 1_600_000_000
"""The modification time of the site's files: long enough ago for their Last-Modified to be strong."""


class Recorder:
    """A job.kinds.Runner that does jobs on the spot, notes them, and can hold results back or bend them."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.hold = False
        self.bend: Callable[[Result], Result] = lambda result: result
        self._held: deque[tuple[Job, Callable[[Result], None]]] = deque()

    def run(self, job: Job, done: Callable[[Result], None], wanted: Callable[[], bool] = always) -> None:
        """Do the job now, or when it is let go."""
        self.jobs.append(job)
        if self.hold:
            self._held.append((job, done))
        else:
            self._do(job, done)

    def let_go(self) -> None:
        """Do what was held."""
        self.hold = False
        while self._held:
            self._do(*self._held.popleft())

    def _do(self, job: Job, done: Callable[[Result], None]) -> None:
        done(self.bend(perform(job)._replace(job=job)))


class Served:
    """A Files of some directory with all that it needs."""

    def __init__(self, root: Path, cache: dict[str, Any], site: dict[str, Any]) -> None:
        self.root = root
        self.now = Now(1000.0, WALL)
        self.runner = Recorder()
        self.caches = Caches(CacheSection(**{"small_file": 100, **cache}))
        errors = ErrorPages(((b"Server", b"flashpy"),))
        served = Root(absolute(os.fspath(root)), fields=lambda *_: errors.extra)._replace(**site)
        self.files = Files(served, self.caches, self.runner, self.now, errors, 10)

    def answer(self, asked: Request | bytes) -> Answer:
        """What is answered at once."""
        asked = asked if isinstance(asked, Request) else request(asked)
        return self.files.answer(asked, asked.path)

    def ask(self, asked: Request | bytes) -> Response:
        """Answer a request as the connection does: with as many jobs as it takes, but not with a loop of them."""
        results: list[Result] = []
        answer = self.answer(asked)
        for _ in range(5):
            if isinstance(answer, Response):
                return answer
            self.runner.run(answer.job, results.append)
            answer = answer.go_on(results.pop())
        raise AssertionError(f"a loop of jobs: {self.runner.jobs}")

    def jobs_of(self, asked: Request | bytes) -> int:
        """How many jobs an answer takes."""
        before = len(self.runner.jobs)
        self.ask(asked)
        return len(self.runner.jobs) - before

    def later(self, seconds: float) -> None:
        """Turn the clock."""
        self.now.monotonic += seconds
        self.now.wall += seconds

    def write(self, name: str, data: bytes, seconds: int = OLD) -> None:
        """Put a file into the site."""
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (seconds, seconds))


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """A function that serves a small site; its arguments are keys of [cache], and ``site`` those of [site]."""

    def make(site: dict[str, Any] | None = None, **cache: Any) -> Served:
        served = Served(tmp_path, cache, site or {})
        served.write("a.txt", b"hello")
        served.write("large.bin", bytes(range(256)) * 4)
        served.write("dir/index.html", b"<p>index")
        return served

    return make


def body_of(response: Response) -> bytes:
    """The body as it would be sent."""
    return bytes_of(response.body)


def bytes_of(aggregate: Aggregate) -> bytes:
    """What the pieces hold."""
    return b"".join(
        os.pread(piece.file.fd, piece.length, piece.offset) if isinstance(piece, Slice) else piece
        for piece in aggregate
    )


def seen(response: Response) -> tuple[int, bytes]:
    """Status and body; and what every answer must keep to: RFC 9110, 8.6."""
    fields = fields_of(response)
    if response.head.status not in (204, 304) and response.body:
        assert int(fields[b"content-length"]) == response.length == len(body_of(response))
    return response.head.status, body_of(response)


def fields_of(response: Response) -> dict[bytes, bytes]:
    """The fields by lower-case name."""
    return {name.lower(): value for name, value in response.head.fields}


# Hits and misses


def test_first_sight_and_fresh_hit(serve: Serve) -> None:
    """The first request takes one job; within ``valid`` the same response serves all, with none."""
    served = serve(valid=1.0)
    first = served.ask(b"/a.txt")
    assert seen(first) == (200, b"hello")
    assert len(served.runner.jobs) == 1
    served.later(1.0)
    assert served.ask(b"/a.txt") is served.ask(b"/a.txt")
    assert len(served.runner.jobs) == 1
    assert fields_of(first)[b"content-type"] == b"text/plain; charset=utf-8"
    assert fields_of(first)[b"server"] == b"flashpy"


def test_a_large_file_is_a_slice_of_one_descriptor(serve: Serve) -> None:
    """Above ``small_file`` nothing is read into memory; hits share the descriptor."""
    served = serve()
    first, second = served.ask(b"/large.bin"), served.ask(b"/large.bin")
    (one,), (other,) = first.body, second.body
    assert isinstance(one, Slice) and isinstance(other, Slice)
    assert one.file is other.file
    assert seen(first) == (200, bytes(range(256)) * 4)


def test_an_empty_file(serve: Serve) -> None:
    """RFC 9110, 8.6: Content-Length 0 and no body."""
    served = serve()
    served.write("empty", b"")
    answer = served.ask(b"/empty")
    assert seen(answer) == (200, b"")
    assert fields_of(answer)[b"content-length"] == b"0"


@pytest.mark.parametrize("known", ["a.txt", "large.bin"])
def test_stale_while_revalidate(serve: Serve, known: str) -> None:
    """Within twice ``valid`` the old answer serves while one helper looks again; nobody waits."""
    served = serve(valid=1.0)
    path = f"/{known}".encode()
    first = served.ask(path)
    served.later(1.5)
    served.runner.hold = True
    assert [served.ask(path) for _ in range(3)] == [first] * 3
    assert len(served.runner.jobs) == 2
    job = served.runner.jobs[-1]
    assert isinstance(job, Check) and job.translations[0].known is not None
    served.later(5)  # however long the look takes
    assert served.ask(path) is first
    served.runner.let_go()
    assert served.ask(path) is first
    assert len(served.runner.jobs) == 2


def test_variants_are_looked_for_again(serve: Serve) -> None:
    """A check opens nothing and knows nothing of siblings, so where they matter the look is a whole translation."""
    served = serve(site={"suffixes": (b".gz",)}, valid=1.0)
    served.ask(b"/a.txt")
    served.write("a.txt.gz", b"packed")
    served.later(1.5)
    served.ask(b"/a.txt")
    assert seen(served.ask(request(b"/a.txt", accept_encoding=b"gzip"))) == (200, b"packed")


def test_a_judged_condition_is_judged_again_when_the_file_changes(serve: Serve) -> None:
    """RFC 9110, 13.1.2: the very same request, with a tag that is no longer the file's."""
    served = serve(valid=1.0)
    tag = fields_of(served.ask(b"/a.txt"))[b"etag"]
    conditional = request(b"/a.txt", if_none_match=tag)
    assert [served.ask(conditional).head.status for _ in range(2)] == [304, 304]
    served.write("a.txt", b"changed", seconds=OLD + 5)
    served.later(2.5)
    assert [seen(served.ask(conditional)) for _ in range(2)] == [(200, b"changed")] * 2


def test_older_than_twice_valid_waits(serve: Serve) -> None:
    """What has not been asked for lately is looked at first."""
    served = serve(valid=1.0)
    served.ask(b"/a.txt")
    served.later(2.5)
    served.write("a.txt", b"changed")
    assert isinstance(served.answer(b"/a.txt"), Pending)
    assert seen(served.ask(b"/a.txt")) == (200, b"changed")


def test_unchanged_opens_nothing_and_keeps_the_answer(serve: Serve) -> None:
    """A look that finds the version that is known costs one stat; the prepared response goes on."""
    served = serve(valid=1.0)
    first = served.ask(b"/a.txt")
    results: list[Result] = []
    served.runner.bend = lambda result: results.append(result) or result  # type: ignore[func-returns-value]
    for _ in range(3):
        served.later(2.5)
        assert served.ask(b"/a.txt") is first
    assert [result.outcome for result in results] == [Outcome.UNCHANGED] * 3


def test_a_changed_file_swaps_at_once(serve: Serve) -> None:
    """Head and body change together: no answer mixes two versions, and the old one can still be sent."""
    served = serve(valid=1.0)
    for name, new in (("a.txt", b"other words"), ("large.bin", b"x" * 500)):
        path = f"/{name}".encode()
        first = served.ask(path)
        old = fields_of(first)
        before = body_of(first)
        replacement = served.root / "new"
        replacement.write_bytes(new)
        replacement.rename(served.root / name)
        served.later(1.5)
        served.runner.hold = True
        assert served.ask(path) is first  # the look is under way
        served.runner.let_go()
        second = served.ask(path)
        assert seen(second) == (200, new)
        assert fields_of(second)[b"etag"] != old[b"etag"]
        assert fields_of(second)[b"content-length"] == b"%d" % len(new)
        assert body_of(first) == before
        assert seen(served.ask(request(path, if_none_match=old[b"etag"])))[0] == 200


def test_a_deleted_file_and_its_space(serve: Serve) -> None:
    """It is missed by the next look, and its bytes or descriptor do not stay in the cache."""
    served = serve(valid=1.0)
    for name in ("a.txt", "large.bin"):
        path = f"/{name}".encode()
        served.ask(path)
        (served.root / name).unlink()
        served.later(1.5)
        served.runner.hold = True
        assert served.ask(path).head.status == 200
        served.runner.let_go()
        assert served.ask(path).head.status == 404
    snapshot = served.caches.snapshot()
    assert (snapshot["bodies"], snapshot["bytes"], snapshot["descriptors"]) == (0, 0, 0)


def test_two_names_of_one_file_share_its_content(serve: Serve) -> None:
    """The caches go by identity: links, and a directory's index, cost nothing twice."""
    served = serve()
    (served.root / "b.txt").symlink_to("a.txt")
    for path in (b"/a.txt", b"/b.txt", b"/dir/", b"/dir/index.html"):
        served.ask(path)
    snapshot = served.caches.snapshot()
    assert (snapshot["pathnames"], snapshot["headers"], snapshot["bodies"]) == (4, 2, 2)


def test_a_change_is_seen_under_all_names(serve: Serve) -> None:
    """When one name's look drops the old content, the other does not go on with a head of it."""
    served = serve(valid=1.0)
    (served.root / "b.txt").symlink_to("a.txt")
    served.ask(b"/a.txt")
    served.later(0.9)
    served.ask(b"/b.txt")
    served.write("a.txt", b"changed")
    served.later(1.2)
    served.ask(b"/a.txt")  # looks
    assert [seen(served.ask(path)) for path in (b"/a.txt", b"/b.txt")] == [(200, b"changed")] * 2


# Negative entries


@pytest.mark.parametrize("status", [404, 403])
def test_negative_entries(serve: Serve, status: int) -> None:
    """A refusal is believed for ``negative_valid`` and then looked at anew, never served stale."""
    served = serve(valid=1.0, negative_valid=0.5)
    if status == 403:  # root may read everything, so the outcome is bent
        served.write("b.txt", b"appeared")
        served.runner.bend = lambda result: Result(Outcome.FORBIDDEN, error=13, job=result.job)
    assert served.ask(b"/b.txt").head.status == status
    served.write("b.txt", b"appeared")
    served.later(0.4)
    assert served.jobs_of(b"/b.txt") == 0
    served.runner.bend = lambda result: result
    served.later(0.2)
    assert seen(served.ask(b"/b.txt")) == (200, b"appeared")


@pytest.mark.parametrize(("outcome", "status"), [(Outcome.NO_DESCRIPTORS, 503), (Outcome.FAILED, 500)])
def test_outcomes_that_say_nothing_of_the_file_are_not_kept(serve: Serve, outcome: Outcome, status: int) -> None:
    """RFC 9110, 15.6: the server's own trouble; the next request tries again."""
    served = serve()
    served.runner.bend = lambda result: Result(outcome, error=5, job=result.job)
    assert served.ask(b"/a.txt").head.status == status
    served.runner.bend = lambda result: result
    assert served.ask(b"/a.txt").head.status == 200


def test_what_is_known_is_better_than_an_error(serve: Serve) -> None:
    """When a look that nobody waits for fails for want of descriptors, the old answer goes on for a while."""
    served = serve(valid=1.0)
    first = served.ask(b"/a.txt")
    served.runner.bend = lambda result: Result(Outcome.NO_DESCRIPTORS, error=24, job=result.job)
    for _ in range(3):
        served.later(1.5)
        assert served.ask(b"/a.txt") is first
        assert served.jobs_of(b"/a.txt") == 0
    served.later(2.5)
    assert served.ask(b"/a.txt").head.status == 503


@pytest.mark.parametrize("path", [b"/.git/config", b"/dir/.htaccess", b"/a%2Fb", b"/.well-known/.x"])
def test_hidden_names_take_no_job(serve: Serve, path: bytes) -> None:
    """They are not there, whether or not the file is; RFC 8615 excepts /.well-known/."""
    served = serve()
    served.write(".git/config", b"secret")
    assert served.ask(path).head.status == 404
    assert served.runner.jobs == []


def test_dotfiles_and_well_known(serve: Serve) -> None:
    """``dotfiles`` allows them; /.well-known/ is always served (RFC 8615)."""
    served = serve(site={"hidden": lambda path: False})
    served.write(".git/config", b"public")
    served.write(".well-known/x", b"known")
    assert seen(served.ask(b"/.git/config")) == (200, b"public")
    assert seen(serve().ask(b"/.well-known/x")) == (200, b"known")


# Budgets and eviction

BUDGETS = [
    "pathname_entries",
    "pathname_bytes",
    "header_entries",
    "header_bytes",
    "file_entries",
    "file_bytes",
    "descriptors",
    "small_file",
]
NOTHING = dict.fromkeys(BUDGETS, 0)


@pytest.mark.parametrize("budget", [{name: 0} for name in BUDGETS] + [NOTHING], ids=[*BUDGETS, "all"])
def test_a_budget_of_zero_still_serves(serve: Serve, budget: dict[str, int]) -> None:
    """Without a cache it is slower, not different."""
    served = serve(site={"suffixes": (b".gz",)}, **budget)
    served.write("a.txt.gz", b"packed")
    for _ in range(2):
        assert seen(served.ask(b"/a.txt")) == (200, b"hello")
        assert seen(served.ask(request(b"/a.txt", accept_encoding=b"gzip"))) == (200, b"packed")
        assert seen(served.ask(b"/large.bin")) == (200, bytes(range(256)) * 4)
        assert seen(served.ask(request(b"/large.bin", range=b"bytes=1-3"))) == (206, b"\1\2\3")
        assert seen(served.ask(b"/dir/")) == (200, b"<p>index")
        assert served.ask(b"/dir").head.status == 301
        assert served.ask(b"/no").head.status == 404
        assert served.ask(request(b"/a.txt", b"HEAD")).head.status == 200
        assert served.ask(request(b"/a.txt", if_none_match=b"*")).head.status == 304
        served.later(1.5)


@pytest.mark.parametrize("budget", [{"descriptors": 0}, {"descriptors": 2}, NOTHING])
def test_descriptors_stay_within_their_budget(serve: Serve, budget: dict[str, int]) -> None:
    """However many files are served, no more are open than the cache counts, and no collection is needed for that."""
    served = serve(**budget)
    for number in range(20):
        served.write(f"{number}.bin", b"x" * (200 + number))
    gc.collect()  # of what other tests have left
    gc.disable()
    try:
        before = len(os.listdir("/proc/self/fd"))
        for number in range(20):
            assert served.ask(b"/%d.bin" % number).head.status == 200
        held = len(os.listdir("/proc/self/fd")) - before
    finally:
        gc.enable()
    assert held == served.caches.snapshot()["descriptors"] == budget["descriptors"]


@pytest.mark.parametrize(
    "budget", [{"file_bytes": 0}, {"file_entries": 0}, {"file_bytes": 1000}, {"header_entries": 0}]
)
def test_answers_hold_no_bytes_that_no_cache_counts(serve: Serve, budget: dict[str, int]) -> None:
    """A whole answer is prepared only for a content that is kept: else bytes would escape the budget."""
    served = serve(**budget)
    for number in range(20):
        served.write(f"{number}.txt", b"x" * 100)
        served.ask(b"/%d.txt" % number)
    answered = [served.answer(b"/%d.txt" % number) for number in range(20)]
    at_hand = sum(isinstance(answer, Response) for answer in answered)
    kept = served.caches.snapshot()["bodies"] if served.caches.snapshot()["headers"] else 0
    assert at_hand == kept


def test_evicted_while_its_look_is_under_way(serve: Serve) -> None:
    """UNCHANGED of what is not there any more: it is looked at once more, knowing nothing, and that is the end."""
    served = serve(valid=1.0, file_entries=1)
    served.ask(b"/a.txt")
    served.later(2.5)
    pending = served.answer(b"/a.txt")
    assert isinstance(pending, Pending)
    job = pending.job
    assert isinstance(job, Translate) and job.known is not None
    result = perform(job)._replace(job=job)
    assert result.outcome is Outcome.UNCHANGED
    served.ask(b"/dir/")
    served.ask(b"/dir/")  # at the second time it takes the only place
    again = pending.go_on(result)
    assert isinstance(again, Pending)
    assert again.job == job._replace(known=None)
    final = again.go_on(perform(again.job)._replace(job=again.job))
    assert isinstance(final, Response)
    assert seen(final) == (200, b"hello")


def test_everything_evicted_between_the_job_and_its_result(serve: Serve) -> None:
    """The answer is made from the result, not from another look into caches that keep nothing."""
    served = serve(**NOTHING)
    for path in (b"/a.txt", b"/large.bin", b"/dir/", b"/no"):
        assert served.jobs_of(path) == 1


@pytest.mark.parametrize("slow", [0.0, 1.0])
@pytest.mark.parametrize(
    "budget", [{}, NOTHING, {"pathname_entries": 0}, {"pathname_entries": 1}, {"header_entries": 0}]
)
def test_a_variant_that_cannot_be_read_is_no_loop(
    serve: Serve, tmp_path: Path, budget: dict[str, int], slow: float
) -> None:
    """A sibling that is listed but never served leads to the file itself, also where no cache remembers that, and
    where a job takes longer than its result is believed."""
    served = serve(site={"suffixes": (b".gz",)}, **budget)
    (tmp_path / "a.txt.gz").symlink_to("/etc/passwd")

    def delayed(result: Result) -> Result:
        served.later(slow)
        return result

    served.runner.bend = delayed
    for _ in range(2):
        assert seen(served.ask(request(b"/a.txt", accept_encoding=b"gzip"))) == (200, b"hello")
        served.later(0.7)


@pytest.mark.parametrize("entries", [1, 10])
def test_a_variant_is_looked_for_again(serve: Serve, tmp_path: Path, entries: int) -> None:
    """A file that was asked for alone, because its variant failed, is not alone for ever."""
    served = serve(site={"suffixes": (b".gz",)}, valid=1.0, pathname_entries=entries)
    (tmp_path / "a.txt.gz").symlink_to("/etc/passwd")
    asked = request(b"/a.txt", accept_encoding=b"gzip")
    assert seen(served.ask(asked)) == (200, b"hello")
    (tmp_path / "a.txt.gz").unlink()
    served.write("a.txt.gz", b"packed")
    served.later(2.5)
    assert seen(served.ask(asked)) == (200, b"packed")


# Variants


def test_variants(serve: Serve) -> None:
    """RFC 9110, 12.5.3, 12.5.5 and 8.8.3.3: coding, Vary and a validator of each variant's own."""
    served = serve(site={"suffixes": (b".br", b".gz")})
    served.write("dir/index.html.gz", b"packed")
    plain = served.ask(b"/dir/")
    packed = served.ask(request(b"/dir/", accept_encoding=b"gzip, br"))
    assert (seen(plain), seen(packed)) == ((200, b"<p>index"), (200, b"packed"))
    assert fields_of(packed)[b"content-encoding"] == b"gzip"
    assert b"content-encoding" not in fields_of(plain)
    for answer in (plain, packed):
        assert fields_of(answer)[b"vary"] == b"Accept-Encoding"
        assert fields_of(answer)[b"content-type"] == b"text/html; charset=utf-8"
    assert fields_of(plain)[b"etag"] != fields_of(packed)[b"etag"]
    served.write("dir/index.html.br", b"better")
    served.later(1.5)
    served.ask(b"/dir/")
    better = served.ask(request(b"/dir/", accept_encoding=b"gzip, br"))
    assert fields_of(better)[b"content-encoding"] == b"br"
    assert seen(served.ask(request(b"/dir/", accept_encoding=b"identity"))) == (200, b"<p>index")
    assert seen(served.ask(b"/dir/index.html.gz")) == (200, b"packed")
    assert fields_of(served.ask(b"/dir/index.html.gz"))[b"content-type"] == b"application/gzip"


def test_without_variants_there_is_no_vary(serve: Serve) -> None:
    """RFC 9110, 12.5.5: what does not vary need not say so."""
    served = serve(site={"suffixes": (b".br", b".gz")})
    assert b"vary" not in fields_of(served.ask(request(b"/a.txt", accept_encoding=b"gzip")))


def test_a_variant_that_has_gone(serve: Serve) -> None:
    """Between two looks at the file its sibling may vanish: then the file itself is the answer."""
    served = serve(site={"suffixes": (b".gz",)}, valid=1.0)
    served.write("a.txt.gz", b"packed")
    asked = request(b"/a.txt", accept_encoding=b"gzip")
    served.ask(b"/a.txt")
    (served.root / "a.txt.gz").unlink()
    assert seen(served.ask(asked)) == (200, b"hello")
    served.later(2.5)
    assert seen(served.ask(asked)) == (200, b"hello")
    assert b"vary" not in fields_of(served.ask(asked))


def test_conditions_and_ranges_of_a_variant(serve: Serve) -> None:
    """RFC 9110, 13 and 14 are about the representation that is selected."""
    served = serve(site={"suffixes": (b".gz",)})
    served.write("a.txt.gz", b"packed")
    packed = served.ask(request(b"/a.txt", accept_encoding=b"gzip"))
    etag = fields_of(packed)[b"etag"]
    unchanged = served.ask(request(b"/a.txt", accept_encoding=b"gzip", if_none_match=etag))
    assert unchanged.head.status == 304
    assert fields_of(unchanged)[b"vary"] == b"Accept-Encoding"
    assert served.ask(request(b"/a.txt", if_none_match=etag)).head.status == 200
    part = served.ask(request(b"/a.txt", accept_encoding=b"gzip", range=b"bytes=0-1"))
    assert seen(part) == (206, b"pa")
    assert fields_of(part)[b"content-encoding"] == b"gzip"


# Redirects


@pytest.mark.parametrize(
    ("target", "location"),
    [
        (b"/dir", b"/dir/"),
        (b"/dir?a=b&c", b"/dir/?a=b&c"),
        (b"//dir", b"/dir/"),
        (b"///dir", b"/dir/"),
        (b"/./dir", b"/dir/"),
        (b"/dir/../dir", b"/dir/"),
        (b"http://evil.example/dir", b"/dir/"),
        (b"http://evil.example//dir", b"/dir/"),
        (b"/%5Cevil.example", b"/%5Cevil.example/"),
        (b"/\\evil.example", b"/%5Cevil.example/"),
        (b"/d%0D%0AX:%20y", b"/d%0D%0AX:%20y/"),
        (b"/d%C3%BC", b"/d%C3%BC/"),
        (b"/d%3Fx", b"/d%3Fx/"),
    ],
)
def test_redirects(serve: Serve, target: bytes, location: bytes) -> None:
    """RFC 9110, 10.2.2: a path only, so that no Host is reflected; never "//", which would name another host."""
    served = serve()
    for name in ("\\evil.example", "d\r\nX: y", "dü", "d?x"):
        (served.root / name).mkdir()
    answer = served.ask(request(target, x_forwarded_host=b"evil.example"))
    assert answer.head.status == 301
    assert fields_of(answer)[b"location"] == location
    assert not fields_of(answer)[b"location"].startswith(b"//")
    assert answer.head.http1.count(b"\r\n") == 1 + len(answer.head.fields)
    assert b"example" not in answer.head.http1.replace(b"%5Cevil.example", b"")
    assert fields_of(answer)[b"content-length"] == b"0"


# Methods, conditions, ranges


def test_head(serve: Serve) -> None:
    """RFC 9110, 9.3.2: the fields of GET, no content; also where there is no file."""
    served = serve()
    for path in (b"/a.txt", b"/large.bin", b"/no", b"/dir", b"/dir/"):
        full, without = served.ask(path), served.ask(request(path, b"HEAD"))
        assert without.head.http1 == full.head.http1
        assert without.body == ()


def test_a_range_of_head_is_ignored(serve: Serve) -> None:
    """RFC 9110, 14.2: Range is defined for GET only."""
    assert serve().ask(request(b"/a.txt", b"HEAD", range=b"bytes=0-1")).head.status == 200


def test_304(serve: Serve) -> None:
    """RFC 9110, 15.4.5: by tag or by date, with the validators, without content."""
    served = serve()
    fields = fields_of(served.ask(b"/a.txt"))
    for conditions in ({"if_none_match": fields[b"etag"]}, {"if_modified_since": fields[b"last-modified"]}):
        for method in (b"GET", b"HEAD"):
            answer = served.ask(request(b"/a.txt", method, **conditions))
            assert seen(answer) == (304, b"")
            assert fields_of(answer)[b"etag"] == fields[b"etag"]
            assert b"content-length" not in fields_of(answer)
    assert served.ask(request(b"/no", if_none_match=b"*")).head.status == 404


def test_412(serve: Serve) -> None:
    """RFC 9110, 15.5.13 and 13.2.1: before the range, and only where there would be a 200."""
    served = serve()
    assert served.ask(request(b"/a.txt", if_match=b'"other"', range=b"bytes=0-1")).head.status == 412
    assert served.ask(request(b"/a.txt", b"HEAD", if_match=b'"other"')).body == ()
    assert served.ask(request(b"/no", if_match=b'"other"')).head.status == 404
    assert served.ask(request(b"/dir", if_match=b'"other"')).head.status == 301


@pytest.mark.parametrize("name", ["a.txt", "large.bin"])
def test_206(serve: Serve, name: str) -> None:
    """RFC 9110, 15.3.7.1: Content-Range and what the 200 would have said."""
    served = serve()
    path = f"/{name}".encode()
    whole = served.ask(path)
    part = served.ask(request(path, range=b"bytes=1-3"))
    size = whole.length
    assert seen(part) == (206, body_of(whole)[1:4])
    fields = fields_of(part)
    assert fields[b"content-range"] == b"bytes 1-3/%d" % size
    for shared in (b"etag", b"last-modified", b"content-type", b"server", b"accept-ranges"):
        assert fields[shared] == fields_of(whole)[shared]
    assert seen(served.ask(request(path, range=b"bytes=-2"))) == (206, body_of(whole)[-2:])
    assert served.ask(request(path, range=b"lines=1-3")) is whole


def test_if_range(serve: Serve) -> None:
    """RFC 9110, 13.1.5: the part if it is of this version, else the whole of the new one."""
    served = serve()
    fields = fields_of(served.ask(b"/a.txt"))
    for value in (fields[b"etag"], fields[b"last-modified"]):
        assert served.ask(request(b"/a.txt", range=b"bytes=0-1", if_range=value)).head.status == 206
    for value in (b'"other"', b"W/" + fields[b"etag"], b"Sun, 06 Nov 1994 08:49:37 GMT"):
        assert served.ask(request(b"/a.txt", range=b"bytes=0-1", if_range=value)).head.status == 200
    assert served.ask(request(b"/a.txt", if_range=fields[b"etag"])).head.status == 200


def test_a_young_last_modified_is_no_strong_validator(serve: Serve) -> None:
    """RFC 9110, 8.8.2.2: a file may change twice in the second in which it is served."""
    served = serve()
    served.write("young", b"hello", int(WALL))
    asked = request(b"/young", range=b"bytes=0-1", if_range=fields_of(served.ask(b"/young"))[b"last-modified"])
    assert served.ask(asked).head.status == 200
    served.later(1)
    assert served.ask(asked).head.status == 206


def test_416(serve: Serve) -> None:
    """RFC 9110, 15.5.17: with the size there is; not before the conditions (13.2.2)."""
    served = serve()
    answer = served.ask(request(b"/a.txt", range=b"bytes=5-"))
    assert answer.head.status == 416
    assert fields_of(answer)[b"content-range"] == b"bytes */5"
    assert served.ask(request(b"/a.txt", range=b"bytes=5-", if_none_match=b"*")).head.status == 304
    assert served.ask(request(b"/a.txt", range=b"bytes=5-", if_range=b'"other"')).head.status == 200


@pytest.mark.parametrize("name", ["large.bin", "small.html"])
def test_multipart(serve: Serve, name: str) -> None:
    """RFC 9110, 15.3.7.2: no Content-Range of the whole; each part with its type and range, in the order asked."""
    served = serve(small_file=1000)
    served.write("small.html", bytes(range(256)) * 3)
    path = f"/{name}".encode()
    whole = body_of(served.ask(path))
    answer = served.ask(request(path, range=b"bytes=500-509, 0-9, -5"))
    status, body = seen(answer)
    fields = fields_of(answer)
    assert status == 206
    assert b"content-range" not in fields
    assert fields[b"content-type"].startswith(b"multipart/byteranges; boundary=")
    parts: list[Any] = (
        BytesParser().parsebytes(b"Content-Type: " + fields[b"content-type"] + b"\r\n\r\n" + body).get_payload()  # type: ignore[assignment]
    )
    size = len(whole)
    assert [(part["Content-Range"], part.get_payload(decode=True)) for part in parts] == [
        (f"bytes 500-509/{size}", whole[500:510]),
        (f"bytes 0-9/{size}", whole[0:10]),
        (f"bytes {size - 5}-{size - 1}/{size}", whole[-5:]),
    ]
    assert {part["Content-Type"].encode() for part in parts} == {fields_of(served.ask(path))[b"content-type"]}
    other = served.ask(request(path, range=b"bytes=500-509, 0-9, -5"))
    assert fields_of(other)[b"content-type"] != fields[b"content-type"]


def test_no_more_ranges_than_allowed(serve: Serve) -> None:
    """RFC 9110, 14.2: a server may ignore what looks like an attack; here the limit is 10."""
    served = serve()
    many = b"bytes=" + b",".join(b"%d-%d" % (n, n) for n in range(11))
    assert served.ask(request(b"/large.bin", range=many)).head.status == 200
    assert served.ask(request(b"/large.bin", range=many.rpartition(b",")[0])).head.status == 206
