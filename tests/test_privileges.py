"""Who works: names and numbers, and real children that give up the rights of root."""

import grp
import os
import pwd
import re
import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest

from flashpy.config import load
from flashpy.errors import ConfigError
from flashpy.privileges import Identity, resolve
from tests.running import PATIENCE, REPOSITORY, Flashpy

NOBODY = pwd.getpwnam("nobody")
FREE = next(number for number in range(60_000, 61_000) if number not in {entry.pw_uid for entry in pwd.getpwall()})

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def complaint(user: str, group: str = "") -> str:
    """The sentence with which a user and a group are refused; it begins with its key."""
    with pytest.raises(ConfigError) as caught:
        resolve(user, group)
    assert re.fullmatch(r"server\.(user|group): [^\n]+\.", str(caught.value))
    return str(caught.value)


def test_names_and_numbers() -> None:
    group = NOBODY.pw_gid
    assert resolve("", "") is None
    assert resolve("nobody", "") == (NOBODY.pw_uid, group, tuple(sorted(set(os.getgrouplist("nobody", group)))))
    assert resolve(str(NOBODY.pw_uid), "") == resolve("nobody", "")
    other = grp.getgrnam("daemon").gr_gid
    for name in ("daemon", str(other)):
        identity = resolve("nobody", name)
        assert identity is not None and identity.gid == other
        assert group not in identity.groups
    assert resolve(str(FREE), "7") == (FREE, 7, (7,))


@pytest.mark.parametrize("name", ["no-such-user", "-1", str(2**32 - 1), "9" * 30, "\u0661", "nobody ", "a\0b", "a:b"])
def test_users_and_groups_that_are_not_there(name: str) -> None:
    assert complaint(name) == f"server.user: there is no user {name!r}."
    assert complaint("nobody", name) == f"server.group: there is no group {name!r}."


def test_what_makes_no_sense() -> None:
    assert "root gives up nothing" in complaint("root")
    assert "root gives up nothing" in complaint("0", "nogroup")
    assert "give server.group too" in complaint(str(FREE))
    assert "has no meaning without server.user" in complaint("", "daemon")


def test_a_configuration_file_with_a_wrong_user(tmp_path: Path) -> None:
    path = tmp_path / "f.toml"
    path.write_text('[server]\nuser = "nobody"\ngroup = "no-such-group"\n')
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == f"{path}, line 3: server.group: there is no group 'no-such-group'."
    with pytest.raises(ConfigError, match=r"^the options given: server\.user: there is no user 'x'\.$"):
        load(path, {"server": {"user": "x"}})


CHILD = f"""
import os, sys
sys.path.append({str(REPOSITORY)!r})
from flashpy.errors import FlashpyError
from flashpy.privileges import drop_privileges, resolve
identity = resolve(sys.argv[1], sys.argv[2])
child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
if sys.argv[3:]:  # begin as somebody else, who may not even read this Python
    os.setgroups([])
    os.setresgid(*[int(sys.argv[3])] * 3)
    os.setresuid(*[int(sys.argv[4])] * 3)
try:
    drop_privileges(identity)
    drop_privileges(identity)  # who is that user already has nothing to do
except FlashpyError as error:
    print(error, flush=True)
    os._exit(1)
print(os.getresuid(), os.getresgid(), sorted(os.getgroups()))
regained = []
for way in (lambda: os.setuid(0), lambda: os.seteuid(0), lambda: os.setresuid(-1, 0, -1), lambda: os.setgroups([0])):
    try:
        way()
        regained.append(way)
    except PermissionError:
        pass
print(regained)
assert open("/proc/self/fd/0").read() == ""
print([line for line in open("/proc/self/status") if line.startswith("CapEff")])
sys.stdout.flush()
os._exit(0)
"""


def drop(user: str, group: str = "", *begin: int) -> "subprocess.CompletedProcess[str]":
    """What becomes of a child that gives its rights up; ``begin`` are the group and the user that it has before."""
    return subprocess.run(
        [sys.executable, "-c", CHILD, user, group, *map(str, begin)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@as_root
@pytest.mark.parametrize(
    ("user", "group"), [("nobody", ""), ("nobody", "daemon"), (str(FREE), "7"), ("nobody", "root")]
)
def test_rights_are_given_up_for_good(user: str, group: str) -> None:
    identity = resolve(user, group)
    assert isinstance(identity, Identity)
    done = drop(user, group)
    assert (done.returncode, done.stderr) == (0, "")
    uid, gid, groups = identity
    assert done.stdout.splitlines() == [
        f"{(uid,) * 3} {(gid,) * 3} {list(groups)}",
        "[]",
        "['CapEff:\\t0000000000000000\\n']",
    ]


@as_root
def test_only_root_can_become_somebody_else() -> None:
    assert drop("nobody", "", NOBODY.pw_gid, NOBODY.pw_uid).stdout.startswith(str((NOBODY.pw_uid,) * 3))
    done = drop("daemon", "", NOBODY.pw_gid, NOBODY.pw_uid)
    assert done.returncode == 1
    assert done.stdout.startswith("Only root can change to user ") and done.stderr == ""


@as_root
@pytest.mark.skipif(which("setpriv") is None, reason="it takes setpriv")
@pytest.mark.parametrize("option", ["--user", "FLASHPY_USER"])
def test_a_server_that_cannot_become_somebody_else_does_not_start(option: str) -> None:
    arguments = [option, "daemon"] if option.startswith("--") else []
    environment = {} if arguments else {option: "daemon"}
    caps = "--inh-caps=+dac_override --ambient-caps=+dac_override"  # so that this Python can be read, wherever it is
    as_nobody = f'exec setpriv --reuid nobody --clear-groups {caps} "$@"'
    with Flashpy("/", "--port", "0", *arguments, environment=environment, shell=as_nobody) as server:
        assert server.wait() == 1
        assert server.stderr.startswith("flashpy: Only root can change to user ")
