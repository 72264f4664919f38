"""Whether a node is well."""

from typing import get_args, get_type_hints

import msgspec
import pytest

from flashpy.cluster.choosing import Parameters
from flashpy.cluster.front.dispatcher import parameters_of
from flashpy.cluster.health import Health, outliers
from flashpy.cluster.nodes import Standing
from flashpy.cluster.policy import POLICIES
from flashpy.settings import HealthSection, PolicySection

SETTINGS = HealthSection(rise=2, fall=3, slow_pause=10.0, slow_factor=5.0, slow_least=0.1)


def standings(checks: str) -> list[Standing]:
    """What a node is after each check: "+" passes, "-" fails."""
    health = Health(SETTINGS)
    found = []
    for check in checks:
        health.checked(check == "+")
        health.warmed()
        found.append(health.standing(0.0))
    return found


@pytest.mark.parametrize(
    ("checks", "up"),
    [("++", ".U"), ("+-++", "...U"), ("++---", ".UUU."), ("++--+--", ".UUUUUU"), ("++---++", ".UUU..U")],
)
def test_rise_and_fall(checks: str, up: str) -> None:
    """So many in a row, and what interrupts them begins anew."""
    assert standings(checks) == [Standing.UP if letter == "U" else Standing.DOWN for letter in up]


def test_what_is_beyond_doubt_takes_one() -> None:
    """A link that is there, or that has broken."""
    health = Health(SETTINGS)
    health.met()
    assert health.standing(0.0) is Standing.WARMING
    health.lost()
    assert health.standing(0.0) is Standing.DOWN


def test_who_comes_to_life_is_warmed_first() -> None:
    """Each time: what it had is lost. Who is drained meanwhile is as cold as before when that is undone."""
    health = Health(SETTINGS)
    health.warmed()
    assert health.standing(0.0) is Standing.DOWN
    health.met()
    health.took(3.0)
    health.draining = True
    assert health.standing(0.0) is Standing.DRAINING
    health.draining = False
    assert health.standing(0.0) is Standing.WARMING
    health.warmed()
    health.met()
    assert health.standing(0.0) is Standing.UP
    assert health.delay is None, "of a time when it was cold"
    health.draining = True
    assert health.standing(0.0) is Standing.DRAINING
    health.draining = False
    assert health.standing(0.0) is Standing.UP
    health.lost()
    health.draining = True
    assert health.standing(0.0) is Standing.DOWN
    health.draining = False
    health.met()
    assert health.standing(0.0) is Standing.WARMING


def test_that_a_node_is_new_may_become_known_later() -> None:
    """It is warmed then; who is down, or cold, is what it was."""
    health = Health(SETTINGS)
    health.cool()
    assert health.standing(0.0) is Standing.DOWN
    health.met()
    health.cool()
    assert (health.standing(0.0), health.warm) == (Standing.WARMING, False)
    health.warmed()
    assert (health.standing(0.0), health.warm) == (Standing.UP, True)
    health.cool()
    assert (health.standing(0.0), health.warm) == (Standing.WARMING, False)


def test_a_slow_node_comes_back_after_a_pause_that_grows() -> None:
    """And grows no more when it has not been slow for long."""
    health = Health(SETTINGS)
    health.met()
    health.warmed()
    assert health.eject(100.0) == 10.0
    assert health.standing(109.0) is Standing.DOWN
    assert health.standing(110.0) is Standing.UP
    assert health.eject(110.0) == 20.0
    assert health.eject(130.0) == 30.0
    assert health.eject(1000.0) == 10.0


@pytest.mark.parametrize(
    ("delays", "slow"),
    [
        ({"a": 0.01}, []),
        ({"a": 0.01, "b": 0.01, "c": 0.5}, ["c"]),
        ({"a": 0.01, "b": 0.5}, ["b"]),
        ({"a": 0.01, "b": 0.09}, []),  # not slow enough to be felt
        ({"a": 0.4, "b": 0.4, "c": 0.5}, []),  # no slower than the others
        ({"a": 0.01, "b": 0.02, "c": 0.01, "d": 0.9, "e": 0.9}, ["d", "e"]),
        ({"a": 0.01, "b": None, "c": 0.5}, ["c"]),
    ],
)
def test_outliers(delays: dict[str, float | None], slow: list[str]) -> None:
    """Who is slow is so beside the others, and never half of them."""
    assert sorted(outliers(delays.items(), SETTINGS)) == slow


def test_a_policy_is_configured_as_it_is_documented() -> None:
    """The settings' defaults are those of the policies."""
    assert parameters_of(PolicySection()) == Parameters()
    assert set(get_args(get_type_hints(PolicySection)["name"])) == set(POLICIES)
    names = set(PolicySection.__struct_fields__) - {"name"}
    assert names == {field.name for field in msgspec.structs.fields(Parameters)} - {"seed"}
