"""A root that becomes another directory: all names at once, nobody back to the old, and what is kept of it."""

import os
from pathlib import Path
from typing import Any

import pytest

from flashpy.http.response import Response
from flashpy.job.kinds import Outcome, Result, Translate
from flashpy.resource.answer import Pending
from tests.http.making import request
from tests.resource.test_files import Served, body_of, fields_of, seen


class Deployed(Served):
    """A site whose root is a link to one of several releases."""

    def __init__(self, place: Path, site: dict[str, Any] | None = None, **cache: Any) -> None:
        self.place = place
        self.release("1")
        os.symlink("releases/1", place / "current")
        super().__init__(place / "current", {"valid": 1.0, **cache}, site or {})

    def release(self, name: str) -> None:
        """Put a release there: each of its files says which it is."""
        for file in ("a.txt", "b.txt", "large.bin", f"only-{name}.txt", f"app.{name}f9a1c2b.js"):
            path = self.place / "releases" / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"{name} {file}".encode() + b"." * (200 if file == "large.bin" else 0))
            os.utime(path, (1_600_000_000, 1_600_000_000))

    def switch(self, name: str) -> None:
        """Let the root be another release, in one step."""
        os.symlink(f"releases/{name}", self.place / "new")
        os.rename(self.place / "new", self.place / "current")

    def says(self, path: bytes) -> str:
        """Which release answers, or the status."""
        answer = self.ask(path)
        return body_of(answer).decode().partition(" ")[0] if answer.head.status == 200 else str(answer.head.status)


@pytest.fixture
def deployed(tmp_path: Path) -> Deployed:
    """A site with a second release that nobody has seen yet."""
    deployed = Deployed(tmp_path)
    deployed.release("2")
    return deployed


NAMES = (b"/a.txt", b"/b.txt", b"/large.bin")


def test_all_names_at_once(deployed: Deployed) -> None:
    """As soon as one look has found the new release, no name is of the old, fresh or not."""
    for path in NAMES:
        deployed.ask(path)
    deployed.later(0.9)
    for path in NAMES[1:]:
        deployed.ask(path)
    deployed.switch("2")
    assert [deployed.says(path) for path in NAMES] == ["1", "1", "1"]  # believed for a moment
    deployed.later(0.2)
    assert deployed.says(b"/new-to-all.txt") == "404"  # a look
    assert [deployed.says(path) for path in NAMES] == ["2", "2", "2"]
    assert deployed.says(b"/only-1.txt") == "404" and deployed.says(b"/only-2.txt") == "2"


def test_what_is_negative_is_forgotten_too(deployed: Deployed) -> None:
    deployed.ask(b"/a.txt")
    assert deployed.says(b"/only-2.txt") == "404"
    deployed.switch("2")
    assert deployed.says(b"/b.txt") == "2"
    assert deployed.says(b"/only-2.txt") == "2"


def test_a_look_that_began_before_is_made_again(deployed: Deployed) -> None:
    """A result of the old release that comes when the new one has been seen is not taken."""
    deployed.ask(b"/a.txt")
    pending = deployed.answer(b"/b.txt")
    assert isinstance(pending, Pending)
    results: list[Result] = []
    deployed.runner.run(pending.job, results.append)
    deployed.switch("2")
    assert deployed.says(b"/large.bin") == "2"
    again = pending.go_on(results.pop())
    assert isinstance(again, Pending)
    deployed.runner.run(again.job, results.append)
    final = again.go_on(results.pop())
    assert isinstance(final, Response) and body_of(final).startswith(b"2 ")
    assert deployed.says(b"/b.txt") == "2"


def test_the_very_first_looks(deployed: Deployed) -> None:
    """Two that began before anything was known, one on each side of the switch, in either order."""
    first, second = deployed.answer(b"/a.txt"), deployed.answer(b"/b.txt")
    assert isinstance(first, Pending) and isinstance(second, Pending)
    old: list[Result] = []
    deployed.runner.run(first.job, old.append)
    deployed.switch("2")
    new: list[Result] = []
    deployed.runner.run(second.job, new.append)
    assert isinstance(second.go_on(new.pop()), Response)
    again = first.go_on(old.pop())
    assert isinstance(again, Pending)
    deployed.runner.run(again.job, new.append)
    final = again.go_on(new.pop())
    assert isinstance(final, Response) and body_of(final).startswith(b"2 ")


def test_what_is_being_sent_ends_on_the_old_release(deployed: Deployed) -> None:
    """An answer that was begun has its own file open, also when the old release is removed."""
    answer = deployed.ask(b"/large.bin")
    deployed.switch("2")
    deployed.later(5)
    assert deployed.says(b"/large.bin") == "2"
    for file in (deployed.place / "releases" / "1").iterdir():
        file.unlink()
    assert body_of(answer).startswith(b"1 ")


def test_a_directory_that_comes_by_rename(tmp_path: Path) -> None:
    deployed = Deployed(tmp_path)
    (tmp_path / "current").unlink()
    os.rename(tmp_path / "releases" / "1", tmp_path / "current")
    deployed.release("2")
    assert deployed.says(b"/a.txt") == "1"
    os.rename(tmp_path / "current", tmp_path / "old")
    os.rename(tmp_path / "releases" / "2", tmp_path / "current")
    deployed.later(2.5)
    assert [deployed.says(path) for path in NAMES] == ["2", "2", "2"]


def test_back_and_forth(deployed: Deployed) -> None:
    """A release that is taken back is a change like any other."""
    for name in ("1", "2", "1", "2", "1"):
        deployed.switch(name)
        deployed.later(2.5)
        assert [deployed.says(path) for path in NAMES] == [name] * 3


# What is kept of the releases before


@pytest.fixture
def keeping(tmp_path: Path) -> Deployed:
    """One that keeps the names with a hash of three releases for a while."""
    deployed = Deployed(tmp_path, {"keep": 60.0})
    for name in ("2", "3"):
        assert deployed.says(b"/a.txt")
        deployed.release(name)
        deployed.switch(name)
        deployed.later(2.5)
        assert deployed.says(b"/a.txt") == name
    return deployed


def test_names_with_a_hash_are_kept(keeping: Deployed) -> None:
    """Of all releases before, not only of the last; for the time, and no other names."""
    assert keeping.says(b"/app.1f9a1c2b.js") == "1"
    assert keeping.says(b"/app.2f9a1c2b.js") == "2"
    assert keeping.says(b"/app.3f9a1c2b.js") == "3"
    assert keeping.says(b"/only-1.txt") == "404"
    assert keeping.says(b"/app.9f9a1c2b.js") == "404"
    keeping.later(58)  # the first has gone, the second has not
    assert (keeping.says(b"/app.1f9a1c2b.js"), keeping.says(b"/app.2f9a1c2b.js")) == ("404", "2")
    keeping.later(10)
    assert keeping.says(b"/app.2f9a1c2b.js") == "404"


def test_what_is_kept_is_a_file_like_any_other(keeping: Deployed) -> None:
    """Conditions, ranges, HEAD; and it is held by no cache, however often it is asked for."""
    path = b"/app.1f9a1c2b.js"
    before = keeping.caches.snapshot()
    whole = keeping.ask(path)
    assert seen(whole) == (200, b"1 app.1f9a1c2b.js")
    for _ in range(20):
        etag = fields_of(whole)[b"etag"]
        assert keeping.ask(request(path, if_none_match=etag)).head.status == 304
        assert seen(keeping.ask(request(path, range=b"bytes=0-0"))) == (206, b"1")
        assert keeping.ask(request(path, b"HEAD")).head.fields == whole.head.fields
    after = keeping.caches.snapshot()
    of_names = {"pathnames": 0, "pathname_bytes": 0, "caches": {}}
    assert {**after, **of_names} == {**before, **of_names}
    for name in ("header", "file", "descriptor", "coded"):
        assert after["caches"][name] == before["caches"][name]  # type: ignore[index]


def test_a_release_that_was_removed(keeping: Deployed) -> None:
    """What is kept is what is still there."""
    (keeping.place / "releases" / "2" / "app.2f9a1c2b.js").unlink()
    assert keeping.says(b"/app.2f9a1c2b.js") == "404"
    assert keeping.says(b"/app.1f9a1c2b.js") == "1"


def test_no_link_leads_out_of_a_release(keeping: Deployed) -> None:
    (keeping.place / "releases" / "1" / "out.1f9a1c2b.js").symlink_to("/etc/passwd")
    assert keeping.says(b"/out.1f9a1c2b.js") == "404"


def test_hidden_names_are_hidden_in_all_releases(tmp_path: Path) -> None:
    deployed = Deployed(tmp_path, {"keep": 60.0, "hidden": lambda path: path.endswith(b".js")})
    deployed.release("2")
    assert deployed.says(b"/a.txt") == "1"
    deployed.switch("2")
    deployed.later(2.5)
    assert deployed.says(b"/a.txt") == "2"
    assert deployed.says(b"/app.1f9a1c2b.js") == "404"


def test_jobs_of_old_releases_say_which(deployed: Deployed) -> None:
    """A job names the release that it is for, so that a helper can tell."""
    deployed.ask(b"/a.txt")
    pending = deployed.answer(b"/b.txt")
    assert isinstance(pending, Pending) and isinstance(pending.job, Translate) and pending.job.release
    deployed.switch("2")
    results: list[Result] = []
    deployed.runner.run(pending.job, results.append)
    assert results[0].outcome is Outcome.MOVED and results[0].file is None
