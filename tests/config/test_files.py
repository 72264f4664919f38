"""Files that include others: what is merged, and what is wrong with which file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flashpy.config import Config, load
from flashpy.config.files import DEPTH
from flashpy.errors import ConfigError

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A function that writes a file, with the directories above it."""

    def make(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return make


def complaint(path: Path) -> str:
    """The sentence that a file gives."""
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_tables_are_merged(write: Write) -> None:
    path = write("main.toml", 'include = ["more/*.toml"]\n[server]\nbacklog = 1\n[site.headers]\nA = "1"\n')
    write("more/b.toml", '[server]\nconcurrency = 2\n[site.headers]\nB = "2"\n')
    write("more/a.toml", "[cache]\nvalid = 3.0\n")
    write("more/a.toml~", "nonsense")
    write("more/.hidden.toml", "nonsense")
    config = load(path)
    assert (config.server.backlog, config.server.concurrency, config.cache.valid) == (1, 2, 3.0)
    assert config.site.headers == {"A": "1", "B": "2"}


def test_included_files_are_before_the_defaults_and_behind_the_options(write: Write) -> None:
    path = write("main.toml", 'include = ["a.toml"]\n')
    write("a.toml", "[server]\nbacklog = 3\nconcurrency = 4\n")
    server = load(path, {"server": {"backlog": 5}}).server
    assert (server.backlog, server.concurrency) == (5, 4)


def test_paths_are_relative_to_the_file_that_has_them(write: Write, tmp_path: Path) -> None:
    path = write("main.toml", f'include = ["a/x.toml", "{tmp_path}/b/*.toml"]\n[site]\ndotfiles = true\n')
    write("a/x.toml", '[server]\npid_file = "pid"\n[log]\naccess_file = "log"\n[cache]\ncoded_directory = "coded"\n')
    write("b/y.toml", '[site]\nroot = "www"\nallowed_roots = ["../c"]\n')
    config = load(path)
    assert config.site.root == f"{tmp_path}/b/www"
    assert config.site.allowed_roots == (f"{tmp_path}/b/../c",)
    assert config.server.pid_file == f"{tmp_path}/a/pid"
    assert config.cache.coded_directory == f"{tmp_path}/a/coded"
    assert config.log.access_file == f"{tmp_path}/a/log"


def test_the_root_is_the_first_files_directory_where_sites_have_none(write: Write, tmp_path: Path) -> None:
    path = write("main.toml", 'include = ["a/x.toml"]\n')
    write("a/x.toml", "[site]\ndotfiles = true\n")
    assert load(path).site.root == str(tmp_path)


def test_no_pid_file_is_no_path(write: Write) -> None:
    assert load(write("main.toml", '[server]\npid_file = ""\n')).server.pid_file == ""


def test_a_directory_whose_name_looks_like_a_pattern(write: Write) -> None:
    path = write("[x]*/main.toml", 'include = ["a.toml", "s/*.toml"]\n')
    write("[x]*/a.toml", "[server]\nbacklog = 3\n")
    write("[x]*/s/b.toml", "[server]\nconcurrency = 4\n")
    assert (load(path).server.backlog, load(path).server.concurrency) == (3, 4)


def test_a_pattern_that_matches_nothing_is_empty(write: Write) -> None:
    assert load(write("main.toml", 'include = ["sites/*.toml", "a?", "[ab]", "**/\\u0000"]\n')) == Config()


@pytest.mark.parametrize("name", ["sites/a.toml", "", "a\\u0000b"])
def test_a_name_that_matches_nothing_is_an_error(write: Write, tmp_path: Path, name: str) -> None:
    path = write("main.toml", f'# which files\ninclude = ["{name}"]\n')
    assert complaint(path).startswith(f"{path}, line 2: include: there is no file '{tmp_path}/")


@pytest.mark.parametrize("value", ['"a.toml"', "5", "[5]", "{ a = 1 }"])
def test_include_is_a_list(write: Write, value: str) -> None:
    path = write("main.toml", f"include = {value}\n")
    assert complaint(path) == f"{path}, line 1: include: expected a list of file names or patterns."


def test_include_is_at_the_top(write: Write) -> None:
    path = write("main.toml", "[site]\ninclude = []\n")
    assert complaint(path).startswith(f"{path}, line 2: site.include: unknown key")
    path = write("main.toml", "includes = []\n")
    assert complaint(path) == f"{path}, line 1: includes: unknown key; include was probably meant."


@pytest.mark.parametrize(
    ("first", "second", "key"),
    [
        ("[site]\ndotfiles = true\n", "[site]\n\ndotfiles = true\n", "site.dotfiles"),
        ("site.root = '.'\n", "[site]\n\nroot = '.'\n", "site.root"),
        ("[site.headers]\nX = '1'\n", "[site.headers]\n\nX = '2'\n", "site.headers.X"),
        ("[server]\nbind = [':1']\n", "[server]\n\nbind = [':2']\n", "server.bind"),
    ],
)
def test_a_key_is_set_once(write: Write, tmp_path: Path, first: str, second: str, key: str) -> None:
    path = write("main.toml", 'include = ["*/?.toml"]\n')
    a, b = write("s/a.toml", "# a\n" + first), write("s/b.toml", "# b\n" + second)
    at = 2 if key == "site.root" else 3
    assert complaint(path) == f"{b}, line 4: {key}: is set in {a}, line {at} already; set it once."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nbacklogg = 1\n", ", line 2: server.backlogg: unknown key; server.backlog was probably meant."),
        ("[server]\nbacklog = 0\n", ", line 2: server.backlog: Expected `int` >= 1."),
        ("[server]\nbind = ['x']\n", ", line 2: server.bind: 'x' is no address"),
        (
            "[site.headers]\nDate = 'x'\n",
            ", line 2: site.headers.Date: Date is set by the server itself; leave it out.",
        ),
        ("[server\n", ": is not valid TOML"),
        ("server = 5\n", ", line 1: server: Expected `object`, got `int`."),
    ],
)
def test_what_is_wrong_is_said_of_the_file_that_has_it(write: Write, text: str, said: str) -> None:
    path = write("main.toml", 'include = ["s/*"]\n[server]\nconcurrency = 1\n[site.headers]\nA = "b"\n')
    bad = write("s/bad.toml", text)
    assert complaint(path).startswith(f"{bad}{said}")


def test_what_two_files_make_wrong_together(write: Write) -> None:
    path = write("main.toml", 'include = ["s/*"]\n[helpers]\nmax = 3\n')
    other = write("s/x.toml", "[helpers]\nmin = 4\n")
    assert complaint(path) == f"{other}, line 2: helpers.min (4) is above helpers.max; lower it."


def test_files_that_cannot_be_read(write: Write, tmp_path: Path) -> None:
    path = write("main.toml", 'include = ["*"]\n')
    (tmp_path / "a").mkdir()
    assert complaint(path) == f"{tmp_path}/a: cannot be read: Is a directory."


@pytest.mark.parametrize("pattern", ["main.toml", "*.toml", "b/../b/x"])
def test_a_circle(write: Write, tmp_path: Path, pattern: str) -> None:
    path = write("main.toml", f'include = ["{pattern}"]\n')
    write("b/x", 'include = ["link"]\n')
    (tmp_path / "b" / "link").symlink_to("../main.toml")
    assert "main.toml would include itself in the end; break the circle." in complaint(path).replace(
        "b/link", "main.toml"
    )


def test_a_file_that_two_others_include_is_read_once(write: Write) -> None:
    path = write("main.toml", 'include = ["a", "b", "common", "comm*"]\n')
    for name in ("a", "b"):
        write(name, 'include = ["common"]\n')
    write("common", "[server]\nbacklog = 3\n")
    assert load(path).server.backlog == 3


@pytest.mark.parametrize("levels", [DEPTH, DEPTH + 1])
def test_how_deep_it_may_go(write: Write, levels: int) -> None:
    path = write("0", 'include = ["1"]\n')
    for level in range(1, levels):
        write(str(level), f'include = ["{level + 1}"]\n')
    last = write(str(levels), "[server]\nbacklog = 3\n")
    if levels <= DEPTH:
        assert load(path).server.backlog == 3
    else:
        assert complaint(path).endswith(f"include: {last} is more than {DEPTH} files deep; include it further up.")
