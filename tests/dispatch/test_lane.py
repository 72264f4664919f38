"""The order of the jobs for one device."""

import os
from typing import NamedTuple

import pytest

from flashpy.buffers import Descriptor
from flashpy.dispatch.lane import BATCH, SAMPLE, Lane
from flashpy.job.kinds import Check, Identity, Job, List, Load, Translate

SOME = Identity(1, 2, 3, 4, 5)


class Task(NamedTuple):
    """What is queued."""

    job: Job


Lanes = Lane[Task, str]


@pytest.fixture
def file() -> Descriptor:
    return Descriptor(os.open("/dev/null", os.O_RDONLY))


def translate(name: str, known: bool = False) -> Task:
    return Task(Translate((b"/",), name.encode(), known=SOME if known else None))


def all_of(lane: Lanes) -> list[Job]:
    """What is taken one after the other, each beginning at once."""
    taken = []
    while (task := lane.take(0.0)) is not None:
        lane.begin(task.job, 0.0)
        taken.append(task.job)
    return taken


def test_translations_in_their_order_the_known_first() -> None:
    lane = Lanes(8, 8, 0.0)
    a, b, known, again = translate("a"), translate("b"), translate("c", known=True), translate("d")
    for task in (a, b, known):
        lane.add(task, 0.0)
    lane.add(again, 0.0, first=True)
    assert all_of(lane) == [task.job for task in (again, known, a, b)]


def test_no_more_at_work_than_the_width() -> None:
    lane = Lanes(2, 8, 0.0)
    for name in "abc":
        lane.add(translate(name), 0.0)
    assert len(all_of(lane)) == 2
    assert (lane.working, lane.waiting, lane.wanted) == (2, 1, 2)
    lane.end(translate("a").job, 0.1, 0.1)
    assert len(all_of(lane)) == 1
    lane.stuck = 1
    lane.add(translate("d"), 0.0)
    assert len(all_of(lane)) == 1  # the stuck one counts for nothing
    lane.stuck = 100
    for _ in range(20):
        lane.add(translate("e"), 0.0)
    assert len(all_of(lane)) == 8 - 3


def test_listings_leave_a_helper_too() -> None:
    lane = Lanes(2, 2, 0.0)
    for name in (b"/a/", b"/b/"):
        lane.add(Task(List((b"/",), name)), 0.0)
    assert all_of(lane) == [List((b"/",), b"/a/")]
    lane.add(translate("a"), 0.0)
    assert all_of(lane) == [translate("a").job]
    lane.end(List((b"/",), b"/a/"), 0.1, 0.1)
    assert all_of(lane) == [List((b"/",), b"/b/")]


def test_loads_leave_a_helper_and_one_is_always_under_way(file: Descriptor) -> None:
    lane = Lanes(3, 3, 0.0)
    for number in range(4):
        lane.add(Task(Load(file, 0, number)), 0.0)
    assert len(all_of(lane)) == 2
    for name in "abc":
        lane.add(translate(name), 0.0)
    assert all_of(lane) == [translate("a").job]
    lane.end(Load(file, 0, 0), 0.1, 0.1)
    assert all_of(lane) == [translate("b").job]
    lane.end(Load(file, 0, 1), 0.1, 0.1)
    assert all_of(lane) == [Load(file, 0, 2)]


def test_of_one_helper_all_have_their_turn(file: Descriptor) -> None:
    lane = Lanes(1, 1, 0.0)
    lane.add(Task(Load(file, 0, 1)), 0.0)
    lane.add(translate("a"), 0.0)
    assert all_of(lane) == [Load(file, 0, 1)]
    lane.end(Load(file, 0, 1), 0.1, 0.1)
    assert all_of(lane) == [translate("a").job]


def test_beginnings_and_later_windows_take_turns(file: Descriptor) -> None:
    lane = Lanes(99, 99, 0.0)
    for number in range(1, 4):
        lane.add(Task(Load(file, 512 * number, 512)), 0.0)
    lane.add(Task(Load(file, 0, 1)), 0.0)
    lane.add(Task(Load(file, 0, 2)), 0.0)
    offsets = [job.offset for job in all_of(lane) if isinstance(job, Load)]
    assert offsets == [512, 0, 1024, 0, 1536]


def test_checks_one_batch_at_a_time_when_nobody_waits() -> None:
    lane = Lanes(2, 2, 0.0)
    known = Translate((b"/",), b"/x", known=SOME)
    lane.add_checks([(known, str(number)) for number in range(BATCH + 1)])
    lane.add(translate("a"), 0.0)
    assert lane.take_checks() == []
    all_of(lane)
    batch = lane.take_checks()
    assert [who for _, who in batch] == [str(number) for number in range(BATCH)]
    lane.begin(Check(tuple(t for t, _ in batch)), 0.0)
    assert lane.take_checks() == []
    assert lane.checks == 1
    lane.end(Check(tuple(t for t, _ in batch)), 0.1, 0.1)
    assert len(lane.take_checks()) == 1


def test_it_grows_while_jobs_wait_and_more_are_done() -> None:
    lane = Lanes(1, 8, 0.0)
    now = 0.0
    for number in range(2_000):
        lane.add(translate(str(number)), 0.0)
    while lane.waiting:
        jobs = all_of(lane)
        now += 0.01
        for job in jobs:
            lane.end(job, 0.01, now)
    assert lane.width.helpers > 4
    assert now > SAMPLE


def test_translations_can_be_parted() -> None:
    lane = Lanes(8, 8, 0.0)
    for name in ("/a/1", "/b", "/a/2", "/c"):
        lane.add(translate(name), 0.0)
    mine = [task.job for task in lane.part(lambda task: isinstance(task.job, Translate) and b"/a/" in task.job.path)]
    assert mine == [translate("/a/1").job, translate("/a/2").job]
    assert all_of(lane) == [translate("/b").job, translate("/c").job]


def test_what_is_told() -> None:
    lane = Lanes(2, 8, 0.0)
    lane.begin(translate("a").job, 0.5)
    lane.begin(translate("b").job, 0.25)
    lane.end(translate("a").job, 0.02, 1.0)
    lane.forget(translate("b").job)
    assert lane.snapshot() == {
        "helpers": 2,
        "working": 0,
        "queued": 0,
        "checks": 0,
        "done": 1,
        "service": 0.02,
        "wait": 0.75,
        "service_ms": 20.0,
        "wait_ms": 750.0,
        "longest_wait_ms": 500.0,
    }
