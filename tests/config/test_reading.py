"""The configuration: its file, its errors."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flashpy.config import Config, load
from flashpy.errors import ConfigError

EXAMPLE = Path(__file__).resolve().parents[2] / "conf" / "flashpy.toml"
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A function that writes a configuration file."""

    def make(text: str) -> Path:
        path = tmp_path / "flashpy.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return make


def complaint(path: Path | None, overrides: Any = None) -> str:
    """The text of the error that a file gives; always one plain sentence."""
    with pytest.raises(ConfigError) as caught:
        load(path, overrides)
    text = str(caught.value)
    assert text.endswith(".") and not text.endswith("..")
    assert "\n" not in text
    assert not re.search(r"Error|Exception|Traceback|<class|`\$", text), text
    return text


def test_the_example_lists_every_key_with_its_default() -> None:
    """Nothing is left out, and nothing is there that does not exist."""
    tables = tomllib.loads(EXAMPLE.read_text())
    assert tables.pop("include") == []  # of the file, not of what comes out
    assert tables == msgspec.json.decode(msgspec.json.encode(Config()))


def test_the_example_has_a_comment_for_every_key() -> None:
    """One each, on its line."""
    keys = [line for line in EXAMPLE.read_text().splitlines() if re.match(r"\w+ = ", line)]
    assert len(keys) == leaves_of(msgspec.to_builtins(Config())) + len(["include"])
    assert [line for line in keys if not re.search(r"  # \S.*", line)] == []


def leaves_of(value: object) -> int:
    """How many keys there are; a table that may have any counts as one."""
    return sum(map(leaves_of, value.values())) if isinstance(value, dict) and value else 1


def test_the_examples_of_tables_in_arrays_can_be_used(write: Callable[[str], Path]) -> None:
    """All their keys are there, and what is said to be the default is."""
    text = EXAMPLE.read_text()
    arrays = re.sub(r"^(rule|mount|route|access|certificate|node) = .*\n", "", text, flags=re.M)
    given: dict[str, dict[str, object]] = {"tls": {"bind": ["127.0.0.1:0"]}, "cluster": {"role": "front"}}
    config = load(write(re.sub(r"^#(?=\[|\w+ = )", "", arrays, flags=re.M)), given)
    examples = tomllib.loads(re.sub(r"^#(?=\[|\w+ = )", "", text[text.index("\n#[[") :], flags=re.M))
    assert set(examples) == {"site", "tls", "cluster"}
    for above, tables in examples.items():
        for name, (example,) in tables.items():
            (section,) = getattr(getattr(config, above), name)
            assert list(example) == list(section.__struct_encode_fields__)


def test_the_example_can_be_used() -> None:
    """It gives the defaults, its root being the file's own directory."""
    config = load(EXAMPLE)
    assert config.site.root == str(EXAMPLE.parent)
    assert msgspec.structs.replace(config, site=Config().site) == Config()


def test_without_a_file_all_is_as_written_in_the_code() -> None:
    """No file, no overrides: the defaults."""
    assert load() == Config()


def test_a_configuration_never_changes() -> None:
    """Frozen, in its sections too."""
    with pytest.raises(AttributeError):
        load().server.backlog = 1  # type: ignore[misc]


def test_overrides_come_before_the_file(write: Write) -> None:
    """Key by key, not section by section."""
    path = write("[limits]\npipeline = 5\nbody = 7\n")
    config = load(path, {"limits": {"pipeline": 6}, "log": {"access": True}})
    assert (config.limits.pipeline, config.limits.body, config.log.access) == (6, 7, True)


def test_paths_are_relative_to_the_file(write: Write, tmp_path: Path) -> None:
    """Not to wherever the server was started; absolute ones and "-" stay."""
    path = write('[site]\nroot = "www"\nallowed_roots = ["../x", "/srv/y"]\n[log]\naccess_file = "access.log"\n')
    config = load(path)
    assert config.site.root == str(tmp_path / "www")
    assert config.site.allowed_roots == (str(tmp_path / "../x"), "/srv/y")
    assert config.log.access_file == str(tmp_path / "access.log")
    assert load(write('[log]\naccess_file = "-"\n')).log.access_file == "-"
    assert load(path, {"site": {"root": "here"}}).site.root == "here"


@pytest.mark.parametrize(
    ("text", "line", "key", "hint"),
    [
        ("[server]\nbackklog = 1\n", 2, "server.backklog", "server.backlog was probably meant"),
        ("# a\n\n[limits]\n# fields = 1\nfieldz = 3\n", 5, "limits.fieldz", "limits.fields was probably meant"),
        ("[sever]\nbacklog = 1\n", 1, "sever", "server was probably meant"),
        ("[server]\nsmall_file = 1\n", 2, "server.small_file", "it belongs to the section [cache]"),
        ('[site]\nroot = "a"\n[server]\nroot = "b"\n', 4, "server.root", "it belongs to the section [site]"),
        (
            "[helpers]\nxyzzy = 1\n",
            2,
            "helpers.xyzzy",
            "the keys here are anticipate, cpu, idle, max, min, timeout, total",
        ),
        ('site.roott = "a"\n', 1, "site.roott", "site.root was probably meant"),
        ("server = { bindd = 1 }\n", 1, "server.bindd", "server.bind was probably meant"),
    ],
)
def test_an_unknown_key(write: Write, text: str, line: int, key: str, hint: str) -> None:
    """File, line, key, and what was probably meant."""
    path = write(text)
    assert complaint(path) == f"{path}, line {line}: {key}: unknown key; {hint}."


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ('[server]\nbacklog = "many"\n', 2, "server.backlog"),
        ("[server]\nbacklog = 0\n", 2, "server.backlog"),
        ("[server]\n\nbind = [\n  5,\n]\n", 3, "server.bind"),
        ("[site]\nprecompressed = ['lzma']\n", 2, "site.precompressed"),
        ("[site.headers]\nX-A = 5\n", 1, "site.headers"),
        ("[cache]\nvalid = 0\n", 2, "cache.valid"),
        ("[cache]\nvalid = nan\n", 2, "cache.valid"),
        ("[cache]\nsmall_file = 1000000000\n", 2, "cache.small_file"),
        ('[log]\nlevel = "loud"\n', 2, "log.level"),
        ('[log]\nformat = "xml"\n', 2, "log.format"),
        ("site = 5\n", 1, "site"),
        ("[[site]]\n", 1, "site"),
    ],
)
def test_a_value_that_does_not_fit(write: Write, text: str, line: int, key: str) -> None:
    """File, line and key."""
    path = write(text)
    assert complaint(path).startswith(f"{path}, line {line}: {key}")
    assert complaint(path, {"site": {"dotfiles": True}}).startswith(f"{path}, line {line}: {key}")


@pytest.mark.parametrize(
    ("text", "part"),
    [("a\n", "is not valid TOML"), ("[server\n", "is not valid TOML"), ("a = 1\na = 2\n", "is not valid TOML")],
)
def test_what_is_no_toml(write: Write, text: str, part: str) -> None:
    """The file, and the parser's own words."""
    path = write(text)
    assert complaint(path).startswith(f"{path}: {part}")


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("[helpers]\nmin = 9\n", 2, "helpers.min (9) is above helpers.max"),
        ("[helpers]\n\nmax = 90\n", 3, "helpers.max (90) is above helpers.total"),
        ("[server]\nbind = []\n", 2, "server.bind is empty"),
        ('[server]\n\nbind = ["x"]\n', 3, "server.bind: 'x' is no address; write host:port"),
        ('[server]\nbind = [":80", "unix:"]\n', 2, "server.bind: 'unix:' names no socket; write unix:PATH"),
        ('[server]\nbind = ["fd://"]\n', 2, "server.bind: 'fd://' names no descriptor; write fd://N"),
        ('[server]\nunix_mode = "0999"\n', 2, "server.unix_mode: '0999' is no mode; write one such as \"0660\""),
        ('[server]\nunix_mode = "rw"\n', 2, "server.unix_mode: 'rw' is no mode"),
        ('[site]\nindex = ["a/b"]\n', 2, "'a/b' is not a plain file name"),
        ('[site]\nindex = [""]\n', 2, "'' is not a plain file name"),
        ('[site.headers]\n"X A" = "b"\n', 1, "'X A' is not a field name"),
        ('[site.headers]\n"" = "b"\n', 1, "'' is not a field name"),
        ('[site.headers]\n"X-A\\r\\nX" = "b"\n', 1, "is not a field name"),
        ('[site.headers]\nX-A = "b\\r\\nX: c"\n', 2, "the value of X-A has a character that a field cannot have"),
        ('[site.headers]\nX-A = "\\u20ac"\n', 2, "the value of X-A has a character that a field cannot have"),
        ('[site.headers]\nCONTENT-length = "1"\n', 2, "CONTENT-length is set by the server itself"),
    ],
)
def test_what_else_cannot_be_used(write: Write, text: str, line: int, part: str) -> None:
    """The file, the line, and what is wrong with it."""
    path = write(text)
    sentence = complaint(path)
    assert sentence.startswith(f"{path}, line {line}: ")
    assert part in sentence


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Not there, a directory, or no text."""
    assert complaint(tmp_path / "no") == f"{tmp_path / 'no'}: cannot be read: No such file or directory."
    assert complaint(tmp_path) == f"{tmp_path}: cannot be read: Is a directory."
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert complaint(tmp_path / "binary") == f"{tmp_path / 'binary'}: is not UTF-8 text, as TOML must be."


def test_bad_overrides() -> None:
    """Without a file, it is the options that are to blame."""
    assert complaint(None, {"server": {"backlog": 0}}).startswith("the options given: server.backlog: ")
    assert complaint(None, {"serve": {"x": 0}}).startswith("the options given: serve: unknown key; server was")


def test_options_are_to_blame_for_what_they_say(write: Write) -> None:
    """Not the file that they come before."""
    path = write("[helpers]\nmin = 1\n")
    assert complaint(path, {"helpers": {"min": "x"}}).startswith("the options given: helpers.min: ")
    assert complaint(path, {"helpers": {"min": 9}}).startswith("the options given: helpers.min (9) is above")


def test_fallbacks_are_behind_the_file(write: Write) -> None:
    """And before the defaults."""
    fallbacks = {"server": {"backlog": 5, "unix_mode": "0600"}}
    server = load(write("[server]\nbacklog = 4\n"), fallbacks=fallbacks).server
    assert (server.backlog, server.unix_mode, server.unix_permissions) == (4, "0600", 0o600)
    assert load(fallbacks=fallbacks).server.backlog == 5
    assert load().server.unix_permissions is None


def test_a_form_of_the_access_log_that_cannot_be(write: Write) -> None:
    """The file, the key, the atom, and those that there are."""
    path = write('[log]\naccess_format = "%(h)s %(x)s"\n')
    assert complaint(path).startswith(f"{path}, line 2: log.access_format: there is no atom %(x)s; there are %(h)s, ")
    assert load(write('[log]\naccess_format = "%(h)s"\n')).log.access_format == "%(h)s"


CLIENTS = [
    ({"trusted_proxies": ["10.0.0.1/8"]}, {}, "trusted_proxies", "10.0.0.0/8"),
    ({"trusted_proxies": ["proxy.example"]}, {}, "trusted_proxies", "no network"),
    ({"proxy_protocol": True}, {}, "proxy_protocol", "it takes server.trusted_proxies"),
    (
        {"proxy_protocol": ["127.0.0.1:1"], "trusted_proxies": ["127.0.0.1"]},
        *({}, "proxy_protocol", "none of the addresses"),
    ),
    ({"client_ip_field": "X-Real-IP"}, {}, "client_ip_field", ""),
    ({}, {"bandwidth_per_connection": 240}, "bandwidth_per_connection", "limits.min_send_rate"),
    *(
        ({"architecture": "mp", **server}, limits, next(iter({**server, **limits})), "amped or sped")
        for server, limits in (
            ({"trusted_proxies": ["127.0.0.1"]}, {}),
            ({}, {"connections_per_client": 1}),
            ({}, {"requests_per_second_per_client": 1.0}),
            ({}, {"bandwidth_per_connection": 10_000}),
        )
    ),
]


@pytest.mark.parametrize(("server", "limits", "key", "why"), CLIENTS)
def test_what_cannot_be_said_of_clients(server: dict[str, Any], limits: dict[str, Any], key: str, why: str) -> None:
    said = complaint(None, {"server": server, "limits": limits})
    assert key in said and why in said


def test_what_can_be_said_of_clients() -> None:
    trusted = {"trusted_proxies": ["10.0.0.0/8", "::1", "unix:"]}
    bind = {"bind": ["127.0.0.1:1", "[::1]:1"]}
    one = load(overrides={"server": {**trusted, **bind, "proxy_protocol": ["[::1]:1"]}}).server
    assert [one.is_proxied(address) for address in one.bind] == [False, True]
    assert all(map(load(overrides={"server": {**trusted, **bind, "proxy_protocol": True}}).server.is_proxied, one.bind))
    assert load(overrides={"limits": {"requests_per_second_per_client": 5}}).limits.requests_per_second_per_client == 5
