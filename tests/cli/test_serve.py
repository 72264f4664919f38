"""The command line as people use it: processes, signals, terminals, files."""

import ast
import os
import pty
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from flashpy import __version__
from tests.running import (
    PATIENCE,
    REPOSITORY,
    Client,
    Flashpy,
    children_of,
    clean_environment,
    descendants_of,
    eventually,
    free_ports,
    is_alive,
    title_of,
)

BIG = 64 * 2**20
LINE = re.compile(r'127\.0\.0\.1 - - \[[^]]+ \+0000\] "(.*)" (\d{3}) (\d+) "(.*)" "(.*)" \d+\.\d{6}')


class Ended(NamedTuple):
    """A run that has ended by itself."""

    code: int
    out: str
    err: str


def run(
    *arguments: str | Path,
    cwd: Path | None = None,
    shell: str = 'exec "$@"',
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """``python -m flashpy ARGUMENTS``, which is expected to end at once; never with a traceback."""
    done = subprocess.run(
        ["sh", "-c", shell, "sh", sys.executable, "-m", "flashpy", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        env=clean_environment(**(environment or {})),
        cwd=cwd,
    )
    ended = Ended(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in ended.err
    return ended


def sentence(ended: Ended) -> str:
    """What was said, which must be one plain sentence."""
    assert ended.out == ""
    match = re.fullmatch(r"flashpy: ([^\n]+\.)\n", ended.err)
    assert match is not None, ended.err
    return match[1]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    root.mkdir()
    (root / "index.html").write_text("hello")
    return root


@pytest.fixture
def start(stack: ExitStack) -> Callable[..., Flashpy]:
    """Start servers that are ended with the test."""

    def start(*arguments: str | Path, **how: object) -> Flashpy:
        return stack.enter_context(Flashpy(*arguments, **how))  # type: ignore[arg-type]

    return start


@pytest.fixture
def powerless() -> str:
    """The shell line that starts a program without the powers of root, which may read every file and bind any port."""
    if os.geteuid():
        return 'exec "$@"'
    if shutil.which("setpriv") is None:
        pytest.skip("root's powers cannot be given up without setpriv")
    return 'exec setpriv --bounding-set=-all --inh-caps=-all "$@"'


def refuses(port: int) -> bool:
    """Whether new connections are refused."""
    try:
        Client(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # the listening socket was closed between the connection and its acceptance
        pass
    return False


def slow_download(stack: ExitStack, server: Flashpy, root: Path) -> Client:
    """A client in the middle of a download that it does not go on with."""
    with (root / "big").open("wb") as file:
        file.truncate(BIG)
    client = stack.enter_context(Client(("127.0.0.1", server.port), receive_buffer=4096))
    client.ask("/big")
    assert client.head().status == 200
    return client


# A newcomer's walk


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    ended = run(tmp_path / "none")
    assert ended.code == 1
    assert f"{str(tmp_path / 'none')!r} does not exist" in sentence(ended)


def test_a_file_instead_of_a_directory(root: Path) -> None:
    ended = run(root / "index.html")
    assert ended.code == 1
    assert "is not a directory" in sentence(ended)


def test_a_directory_whose_name_is_no_text(tmp_path: Path, start: Callable[..., Flashpy]) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    assert run(name).code == 1
    os.mkdir(name)
    (Path(name) / "index.html").write_text("hello")
    server = start(name, "--port", "0")
    assert server.get().body == b"hello"
    assert server.end() == 0
    assert "rror" not in server.stderr


def test_a_directory_that_may_not_be_entered(root: Path, powerless: str) -> None:
    root.chmod(0o600)
    ended = run(root, shell=powerless)
    root.chmod(0o700)
    assert ended.code == 1
    assert "may not be entered" in sentence(ended)


def test_a_busy_port(root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        ended = run(root, "--port", str(port))
    assert ended.code == 1
    assert sentence(ended).startswith(f"Port {port} on 127.0.0.1 is in use already")
    assert "--port" in ended.err


def test_a_privileged_port(root: Path, powerless: str) -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) < 2:
        pytest.skip("every user may use every port here")
    ended = run(root, "--port", "1", shell=powerless)
    assert ended.code == 1
    assert "Port 1 may not be used by this user" in sentence(ended)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--bind", "fd://99"], "is no listening socket"),
        (["--bind", "fd://" + "9" * 30], "is no listening socket"),
        (["--bind", "unix:/none/s"], "No such file or directory"),
        (["--host", "no-such-host.invalid"], "is not known"),
        (["--host", "a..b"], "is no host name"),
        (["--host", "192.0.2.123"], "no address 192.0.2.123"),
    ],
)
def test_an_address_that_cannot_be_bound(root: Path, arguments: list[str], said: str) -> None:
    ended = run(root, *arguments)
    assert ended.code == 1
    assert said in sentence(ended)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prot", "8000"], "--port"),
        (["-x"], "-x"),
        (["--port", "http"], "--port"),
        (["--port", "65536"], "--port"),
        (["--log-level", "loud"], "debug"),
        (["--header", "X-Frame-Options"], "NAME:VALUE"),
        (["--timeout-graceful-shutdown", "-1"], "--timeout-graceful-shutdown"),
        ([".", "."], "extra argument"),
        (["--bind", "127.0.0.1:0", "--host", "127.0.0.1"], "either --bind or --host and --port"),
        (["--bind", "127.0.0.1:0", "--port", "0"], "either --bind or --host and --port"),
    ],
)
def test_wrong_usage(root: Path, arguments: list[str], said: str) -> None:
    ended = run(*arguments, cwd=root)
    assert ended.code == 2
    assert ended.err.startswith("Usage: ") and said in ended.err
    assert ended.out == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--header", "Content-Type: text/html"], "Content-Type is set by the server itself"),
        (["--header", "bad name: x"], "'bad name' is not a field name"),
        (["--header", "X: a\r\nY: b"], "has a character that a field cannot have"),
        (["--index", "a/b"], "'a/b' is not a plain file name"),
        (["--bind", "nonsense"], "is no address"),
        (["--bind", "unix:"], "names no socket"),
        (["-c", "none.toml"], "none.toml: cannot be read: No such file or directory"),
    ],
)
def test_a_configuration_that_cannot_be_used(root: Path, arguments: list[str], said: str) -> None:
    ended = run(*arguments, cwd=root)
    assert ended.code == 2
    assert said in sentence(ended)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[site]\nroot = '.'\nindx = ['a']\n", "line 3: site.indx: unknown key; site.index was probably meant"),
        ("[serve]\n", "line 1: serve: unknown key; server was probably meant"),
        ("[server]\nroot = '.'\n", "line 2: server.root: unknown key; it belongs to the section [site]"),
        ("[helpers]\nmin = 'two'\n", "line 2: helpers.min"),
        ("[site\n", "is not valid TOML"),
        ("[helpers]\nmin = 9\nmax = 3\n", "helpers.min (9) is above helpers.max"),
    ],
)
@pytest.mark.parametrize("command", [["check", "-c"], ["-c"]])
def test_a_configuration_file_that_cannot_be_used(tmp_path: Path, command: list[str], text: str, said: str) -> None:
    file = tmp_path / "flashpy.toml"
    file.write_text(text)
    ended = run(*command, file)
    assert ended.code == 2
    assert sentence(ended).startswith(str(file))
    assert said in ended.err


def test_a_file_that_may_not_be_read(root: Path, powerless: str, start: Callable[..., Flashpy]) -> None:
    (root / "secret").write_text("secret")
    (root / "closed").mkdir()
    (root / "closed" / "file").write_text("secret")
    (root / "secret").chmod(0)
    (root / "closed").chmod(0)
    server = start(root, "--port", "0", shell=powerless)
    with server.client() as client:
        for target in ("/secret", "/closed/file", "/closed/none", "/closed/"):
            answer = client.get(target)
            assert answer.status == 403
            assert answer.fields["content-type"].startswith("text/")
            assert b"may not read" in answer.body
        assert client.get("/none").status == 404
    (root / "closed").chmod(0o700)
    assert server.end() == 0
    assert "Traceback" not in server.stderr


@pytest.mark.parametrize("environment", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
def test_names_with_blanks_and_letters_of_all_languages(
    root: Path, start: Callable[..., Flashpy], environment: dict[str, str]
) -> None:
    names = ["two words.txt", "Grüße.html", "日本語.txt", "50% + 1.txt", "a&b;c=d.txt", "emoji 🦊", "plus+sign"]
    for number, name in enumerate(names):
        (root / name).write_text(f"content {number}")
    (root / "Ordner ä").mkdir()
    (root / "Ordner ä" / "index.html").write_text("inside")
    server = start(root, "--port", "0", environment=environment)
    with server.client() as client:
        for number, name in enumerate(names):
            escaped = "".join(f"%{byte:02x}" for byte in name.encode())
            assert client.get(f"/{escaped}").body == b"content %d" % number
        for number in (1, 2):
            assert client.get(f"/{names[number]}").body == b"content %d" % number  # raw UTF-8 in the request
        assert client.get("/Ordner%20%C3%A4/").body == b"inside"
        assert client.get("/Ordner%20%C3%A4").fields["location"] == "/Ordner%20%C3%A4/"
        assert client.get("/Ordner%20ä/").body == b"inside"
    assert server.end() == 0


def test_without_a_directory_the_current_one_is_served(root: Path, start: Callable[..., Flashpy]) -> None:
    server = start("--port", "0", cwd=root)
    assert server.get().body == b"hello"
    assert f"Serving {root} at http://127.0.0.1:{server.port} with 2 to 8 helpers, " in server.stderr
    assert server.stdout == ""


def test_version_and_help() -> None:
    how = " (compiled)" if os.environ.get("FLASHPY_TEST_COMPILED") else ""  # set by "make test-compiled"
    assert run("--version") == (0, f"flashpy, version {__version__}{how}\n", "")
    ended = run("--help")
    assert (ended.code, ended.err) == (0, "")
    options = "host port bind config index header access-log no-access-log access-logformat log-level"
    options += " timeout-graceful-shutdown version"
    for option in ["-b", "-c", *(f"--{name}" for name in options.split())]:
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", ended.out), option
    assert run("check", "--help").out.startswith("Usage: flashpy check")


# Where settings come from


def test_a_flag_is_before_the_environment_is_before_the_file_is_before_the_default(
    tmp_path: Path, start: Callable[..., Flashpy]
) -> None:
    for name in ("file", "environment", "flag"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_text(f"index.html of {name}")
        for index in ("file", "environment", "flag"):
            (tmp_path / name / f"{index}.html").write_text(f"{index}.html of {name}")
    ports = {name: free_ports()[0] for name in ("file", "PORT", "FLASHPY_PORT", "flag")}
    config = tmp_path / "flashpy.toml"
    config.write_text(f"""
        [server]
        bind = ["127.0.0.1:{ports["file"]}"]
        [site]
        root = "file"
        index = ["file.html"]
        headers = {{ "X-From" = "file" }}
        [log]
        level = "debug"
        access = true
    """)
    environment = {
        "FLASHPY_CONFIG": str(config),
        "FLASHPY_PORT": str(ports["FLASHPY_PORT"]),
        "PORT": str(ports["PORT"]),
        "FLASHPY_DIR": str(tmp_path / "environment"),
        "FLASHPY_INDEX": "environment.html",
        "FLASHPY_HEADER": "X-From: the environment\nX-Two: lines",
        "FLASHPY_LOG_LEVEL": "info",
        "FLASHPY_ACCESS_LOG": "0",
    }
    flags = ["--port", str(ports["flag"]), "--index", "flag.html", "--header", "X-From: flag", "--log-level", "debug"]

    server = start("-c", config)
    assert server.port == ports["file"]
    answer = server.get()
    assert (answer.body, answer.fields["x-from"]) == (b"file.html of file", "file")
    assert server.end() == 0
    assert "Counters at exit" in server.stderr and server.stdout.count("\n") == 1

    server = start(environment=environment)
    assert server.port == ports["FLASHPY_PORT"]
    answer = server.get()
    assert (answer.body, answer.fields["x-from"]) == (b"environment.html of environment", "the environment")
    assert answer.fields["x-two"] == "lines"
    assert server.end() == 0
    assert "Counters at exit" not in server.stderr and server.stdout == ""

    server = start(tmp_path / "flag", *flags, "--access-log", environment=environment)
    assert server.port == ports["flag"]
    answer = server.get()
    assert (answer.body, answer.fields["x-from"]) == (b"flag.html of flag", "flag")
    assert "x-two" not in answer.fields
    assert server.end() == 0
    assert "Counters at exit" in server.stderr and server.stdout.count("\n") == 1

    server = start("-c", config, "--no-access-log", environment={"PORT": str(ports["PORT"])})
    assert server.port == ports["PORT"]
    assert server.get().body == b"file.html of file"
    assert server.end() == 0
    assert server.stdout == ""


def test_the_host_of_the_environment_goes_with_the_port_of_a_flag(root: Path, start: Callable[..., Flashpy]) -> None:
    server = start(root, "--port", "0", environment={"FLASHPY_HOST": "127.0.0.2"})
    assert server.urls == [f"http://127.0.0.2:{server.port}"]
    server = start(root, "--host", "127.0.0.3", environment={"FLASHPY_PORT": "0"})
    assert server.urls == [f"http://127.0.0.3:{server.port}"]


def test_the_port_of_a_flag_goes_with_the_host_of_the_file(root: Path, start: Callable[..., Flashpy]) -> None:
    config = root / "flashpy.toml"
    config.write_text('[server]\nbind = ["127.0.0.2:8000", "127.0.0.3:8000"]\n')
    server = start(root, "-c", config, "--port", "0")
    assert server.urls == [f"http://127.0.0.2:{server.port}"]


def test_addresses_of_flags_are_before_those_of_the_environment(root: Path, start: Callable[..., Flashpy]) -> None:
    port = str(free_ports()[0])
    server = start(root, "--bind", "127.0.0.2:0", environment={"FLASHPY_HOST": "127.0.0.3", "PORT": port})
    assert server.urls == [f"http://127.0.0.2:{server.port}"]
    server = start(root, "--port", port, environment={"FLASHPY_BIND": "127.0.0.2:0"})
    assert server.urls == [f"http://127.0.0.1:{port}"]
    server = start(root, environment={"FLASHPY_BIND": "127.0.0.2:0 127.0.0.3:0", "PORT": port})
    assert [url.rpartition(":")[0] for url in server.urls] == ["http://127.0.0.2", "http://127.0.0.3"]


def test_a_variable_of_the_environment_that_is_wrong(root: Path) -> None:
    for name, value in [("PORT", "http"), ("FLASHPY_LOG_LEVEL", "loud"), ("FLASHPY_ACCESS_LOG", "perhaps")]:
        ended = run(root, environment={name: value})
        assert ended.code == 2
        assert value in ended.err


def test_the_version_in_the_environment_is_not_taken_for_an_option(root: Path) -> None:
    assert "does not exist" in sentence(run(root / "none", environment={"FLASHPY_VERSION": "1.2.3"}))


def test_check(tmp_path: Path) -> None:
    file = tmp_path / "flashpy.toml"
    file.write_text("[cache]\nvalid = 5.0\n[site]\nroot = 'here'\n")
    ended = run("check", "-c", file)
    assert ended.code == 2
    assert f"{tmp_path}/here" in sentence(ended)  # relative to the file, wherever one is
    (tmp_path / "here").mkdir()
    assert run("check", "-c", file) == (0, f"{file}: good.\n", "")
    assert run("check", "--config", REPOSITORY / "conf" / "flashpy.toml").code == 0
    ended = run("check")
    assert ended.code == 2
    assert "--config" in ended.err


def test_a_directory_called_check(root: Path, start: Callable[..., Flashpy]) -> None:
    (root / "check").mkdir()
    (root / "check" / "index.html").write_text("checked")
    assert start("./check", "--port", "0", cwd=root).get().body == b"checked"
    assert start("--port", "0", "check", cwd=root).get().body == b"checked"


def test_headers_and_index_files(root: Path, start: Callable[..., Flashpy]) -> None:
    (root / "b.html").write_text("b")
    arguments = ["--header", "X-A: b: c", "--header", "Cache-Control:max-age=60, public"]
    server = start(root, "--port", "0", *arguments, "--index", "a.html", "--index", "b.html")
    with server.client() as client:
        for target, cache_control in (
            ("/", "max-age=60, public"),
            ("/index.html", "max-age=60, public"),
            ("/none", None),
        ):
            fields = client.get(target).fields
            assert (fields["x-a"], fields.get("cache-control")) == ("b: c", cache_control)
        assert client.get("/").body == b"b"
    (root / "a.html").write_text("a")
    (root / "dir").mkdir()
    assert server.get("/dir/").status == 404


# Addresses


def test_several_addresses(root: Path, start: Callable[..., Flashpy]) -> None:
    path = root.parent / "socket"
    server = start(root, "-b", "127.0.0.1:0", "--bind", "127.0.0.2:0", "--bind", f"unix:{path}")
    first, second, third = server.urls
    assert third == f"unix:{path}"
    for address in (
        ("127.0.0.1", int(first.rpartition(":")[2])),
        ("127.0.0.2", int(second.rpartition(":")[2])),
        str(path),
    ):
        with Client(address) as client:
            assert client.get().body == b"hello"
    assert server.end() == 0


def test_ipv6(root: Path, start: Callable[..., Flashpy]) -> None:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    for arguments in (["--host", "::1", "--port", "0"], ["--bind", "[::1]:0"]):
        server = start(root, *arguments, "--access-log")
        assert server.urls == [f"http://[::1]:{server.port}"]
        with socket.create_connection(("::1", server.port), PATIENCE) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        assert server.end() == 0
        assert server.stdout.startswith("::1 - - [")


@pytest.mark.parametrize("architecture", ["amped", "mt"])
def test_a_client_by_ipv4_is_shown_by_its_address(root: Path, start: Callable[..., Flashpy], architecture: str) -> None:
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    server = start(root, "--bind", "[::]:0", "--access-log", "--architecture", architecture)
    assert server.urls == [f"http://[::]:{server.port}"]
    assert server.get("/none").status == 404
    assert server.end() == 0
    assert LINE.fullmatch(server.stdout.strip())


def test_a_unix_socket(root: Path, start: Callable[..., Flashpy]) -> None:
    path = root.parent / "socket"
    server = start(root, "--bind", f"unix:{path}", "--access-log")
    assert server.urls == [f"unix:{path}"]
    with Client(str(path)) as client:
        assert client.get().body == b"hello"
    ended = run(root, "--bind", f"unix:{path}")
    assert ended.code == 1
    assert "it is in use already" in sentence(ended)
    with Client(str(path)) as client:
        assert client.get().body == b"hello"
    assert server.end() == 0
    assert not path.exists()
    assert len(re.findall(r'(?m)^unix: - - \[.*"GET / HTTP/1\.1" 200', server.stdout)) == 2


def test_a_unix_socket_that_a_killed_server_has_left(root: Path, start: Callable[..., Flashpy]) -> None:
    path = root.parent / "socket"
    first = start(root, "--bind", f"unix:{path}")
    assert first.urls
    left = descendants_of(first.pid)
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    eventually("all are gone", lambda: not any(map(is_alive, left)))
    assert path.exists()
    second = start(root, "--bind", f"unix:{path}")
    assert second.urls
    with Client(str(path)) as client:
        assert client.get().body == b"hello"


def test_a_start_that_fails_leaves_no_unix_socket(root: Path) -> None:
    path = root.parent / "socket"
    with socket.create_server(("127.0.0.1", 0)) as sock:
        ended = run(root, "--bind", f"unix:{path}", "--bind", f"127.0.0.1:{sock.getsockname()[1]}")
    assert ended.code == 1
    assert not path.exists()


def test_an_inherited_socket(root: Path, start: Callable[..., Flashpy]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        server = start(root, "--bind", f"fd://{sock.fileno()}", fds=[sock.fileno()])
        assert server.urls == [f"http://127.0.0.1:{port}"]
        assert server.get().body == b"hello"
        assert server.end() == 0
        successor = start(root, "--bind", f"fd://{sock.fileno()}", fds=[sock.fileno()])
        assert successor.get().body == b"hello"  # who waits between the two is not refused


def test_an_inherited_unix_socket_keeps_its_name(root: Path, start: Callable[..., Flashpy]) -> None:
    path = root.parent / "socket"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        for _ in range(2):
            server = start(root, "--bind", f"fd://{sock.fileno()}", fds=[sock.fileno()])
            assert server.urls
            with Client(str(path)) as client:
                assert client.get().body == b"hello"
            assert server.end() == 0


# What is said at the beginning


def read_terminal(master: int, mark: bytes) -> str:
    """What appears on a terminal up to a mark, colours included."""
    seen = b""
    deadline = time.monotonic() + PATIENCE
    os.set_blocking(master, False)
    while mark not in seen:
        assert time.monotonic() < deadline, seen
        with suppress(BlockingIOError):
            seen += os.read(master, 4096)
            continue
        time.sleep(0.01)
    return seen.decode()


def test_on_a_terminal_there_is_a_banner_and_ctrl_c_ends(root: Path, stack: ExitStack) -> None:
    master, slave = pty.openpty()
    stack.callback(os.close, master)
    # The terminal becomes the controlling one, so that Ctrl-C reaches all processes of the group, as in daily life.
    command = (
        "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", command, sys.executable, "-m", "flashpy", str(root), "--port", "0"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=clean_environment(),
        start_new_session=True,
    )
    stack.callback(process.kill)
    os.close(slave)
    banner = read_terminal(master, b"Ctrl-C ends it.")
    plain = re.sub(r"\x1b\[\d*m", "", banner)
    assert banner != plain
    assert f"flashpy {__version__}" in plain and f"serves {root}" in plain
    assert re.search(r"works with +2 to 8 helpers", plain)
    assert "Serving" not in plain
    match = re.search(r"http://127\.0\.0\.1:(\d+)", plain)
    assert match is not None
    with Client(("127.0.0.1", int(match[1]))) as client:
        assert client.get().body == b"hello"
        with (root / "big").open("wb") as file:
            file.truncate(BIG)
        client.ask("/big")
        head = client.head()
        os.write(master, b"\x03")
        said = read_terminal(master, b"a second Ctrl-C ends at once")
        assert len(client.read(int(head.fields["content-length"]))) == BIG  # the helpers are there still
    assert process.wait(PATIENCE) == 0
    with suppress(OSError):  # EIO: nobody has the terminal any more
        while more := os.read(master, 4096):
            said += more.decode()
    assert "died" not in said and "Traceback" not in said


def test_elsewhere_there_is_one_plain_line(root: Path, start: Callable[..., Flashpy]) -> None:
    server = start(root, "--port", "0")
    assert server.urls
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d [\d:,]+ INFO flashpy: Serving \S+ at http://127\.0\.0\.1:\d+ with 2 to 8 helpers, "
        r"(not confined|confined by Landlock \(ABI \d+\))\.\n",
        server.stderr,
    )
    assert server.end() == 0
    assert server.stderr.count("\n") == 1 and server.stdout == ""


def test_below_info_nothing_is_said(root: Path, start: Callable[..., Flashpy]) -> None:
    port = free_ports()[0]
    server = start(root, "--port", str(port), "--log-level", "warning")
    eventually("the server listens", lambda: not refuses(port))
    with Client(("127.0.0.1", port)) as client:
        assert client.get().body == b"hello"
    server.tell(signal.SIGTERM)
    assert server.wait() == 0
    assert (server.stdout, server.stderr) == ("", "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams(root: Path, start: Callable[..., Flashpy], closed: str) -> None:
    port = free_ports()[0]
    server = start(root, "--port", str(port), "--access-log", shell=f'exec "$@" {closed}')
    eventually("the server listens", lambda: server.process.poll() is not None or not refuses(port))
    with Client(("127.0.0.1", port)) as client:
        assert client.get().body == b"hello"
        assert client.get("/none").status == 404
    server.tell(signal.SIGTERM)
    assert server.wait() == 0
    assert "Traceback" not in server.stderr


# The end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_what_is_under_way_come_to_its_end(
    root: Path, stack: ExitStack, start: Callable[..., Flashpy], number: signal.Signals
) -> None:
    server = start(root, "--port", "0")
    port = server.port
    idle = stack.enter_context(server.client())
    assert idle.get().status == 200
    begun, silent = (stack.enter_context(server.client()) for _ in range(2))
    begun.sock.send(b"GET / HT")
    download = slow_download(stack, server, root)
    server.tell(number)
    assert idle.rest() == begun.rest() == b""
    eventually("new connections are refused", lambda: refuses(port))
    silent.ask("/")  # it was with the kernel still (TCP_DEFER_ACCEPT): it hears of the end when it speaks
    assert silent.rest() == b""
    assert server.process.poll() is None
    assert len(download.read(BIG)) == BIG
    assert download.rest() == b""
    assert server.wait() == 0
    assert "cut off" not in server.stderr and "Traceback" not in server.stderr


@pytest.mark.parametrize("asked", ["before the signal", "after it"])
def test_the_last_answer_of_a_connection_says_that_it_is_the_last(
    root: Path, stack: ExitStack, start: Callable[..., Flashpy], asked: str
) -> None:
    server = start(root, "--port", "0")
    port = server.port
    download = slow_download(stack, server, root)
    if asked == "before the signal":
        download.ask("/")
        time.sleep(0.3)  # it is read, and answered behind the download
    server.tell(signal.SIGTERM)
    eventually("new connections are refused", lambda: refuses(port))
    if asked == "after it":
        download.ask("/")
    assert len(download.read(BIG)) == BIG
    answer = download.answer()
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.fields.get("connection") == "close"
    assert download.rest() == b""
    assert server.wait() == 0


def test_who_has_connected_and_asked_before_the_signal_is_answered(
    root: Path, stack: ExitStack, start: Callable[..., Flashpy]
) -> None:
    server = start(root, "--port", "0")
    assert server.get().status == 200
    server.tell(signal.SIGSTOP)
    clients = [stack.enter_context(server.client()) for _ in range(300)]
    for client in clients:
        client.ask()
    server.tell(signal.SIGTERM)
    server.tell(signal.SIGCONT)
    answers = [client.answer() for client in clients]
    assert {answer.body for answer in answers} == {b"hello"}
    assert server.wait() == 0


def test_what_takes_too_long_is_cut_off(root: Path, stack: ExitStack, start: Callable[..., Flashpy]) -> None:
    server = start(root, "--port", "0", "--timeout-graceful-shutdown", "0.2")
    download = slow_download(stack, server, root)
    assert server.end() == 0
    assert "1 connections were cut off at shutdown" in server.stderr
    assert len(download.rest()) < BIG


def test_a_second_interrupt_ends_at_once(root: Path, stack: ExitStack, start: Callable[..., Flashpy]) -> None:
    server = start(root, "--port", "0", "--timeout-graceful-shutdown", "1000")
    port = server.port
    slow_download(stack, server, root)
    server.tell(signal.SIGINT)
    eventually("new connections are refused", lambda: refuses(port))
    server.tell(signal.SIGTERM)  # does not make it any quicker
    assert server.process.poll() is None
    server.tell(signal.SIGINT)
    assert server.wait() == 130
    assert "Traceback" not in server.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_stays_behind(root: Path, start: Callable[..., Flashpy], number: signal.Signals) -> None:
    server = start(root, "--port", "0")
    assert server.get().status == 200
    processes = descendants_of(server.pid)
    assert len(processes) >= 4  # the worker, the fork server and two helpers
    server.end(number)
    eventually("all helpers have ended", lambda: not any(map(is_alive, processes)))


# The process


def test_what_the_processes_are_called(root: Path, start: Callable[..., Flashpy]) -> None:
    server = start(root, "--port", "0")
    assert server.get().status == 200
    assert title_of(server.pid) == "flashpy: supervisor"
    assert title_of(server.worker) == f"flashpy: worker 1 of {server.pid}"
    (fork_server,) = children_of(server.pid) - {server.worker}
    assert title_of(fork_server) == f"flashpy: fork server of {server.pid}"
    helpers = server.helpers()
    assert len(helpers) == 2
    for helper in helpers:
        assert title_of(helper) == f"flashpy: disk helper of {server.pid}"
    if shutil.which("ps"):
        seen = subprocess.run(
            ["ps", "-o", "args=", "-p", str(helpers.pop())], capture_output=True, text=True, timeout=PATIENCE
        )
        assert seen.stdout.strip() == f"flashpy: disk helper of {server.pid}"


def test_a_helper_has_little_memory_of_its_own(root: Path, start: Callable[..., Flashpy]) -> None:
    for number in range(50):
        (root / str(number)).write_bytes(b"x" * 60_000)
    (root / "big").write_bytes(b"y" * 2**21)
    server = start(root, "--port", "0")
    with server.client() as client:
        for number in range(50):
            assert client.get(f"/{number}").status == 200
        assert client.get("/big").status == 200
    for helper in server.helpers() | children_of(server.pid):
        rollup = Path(f"/proc/{helper}/smaps_rollup").read_text()
        private = sum(int(size) for size in re.findall(r"(?m)^Private_\w+: +(\d+) kB$", rollup))
        assert 0 < private < 12 * 1024


def test_the_soft_limit_on_open_files_is_raised(root: Path, start: Callable[..., Flashpy]) -> None:
    config = root / "flashpy.toml"
    config.write_text("[limits]\nconnections = 500\n[cache]\ndescriptors = 100\n")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert hard == resource.RLIM_INFINITY or hard > 800
    server = start(root, "-c", config, "--port", "0", shell='ulimit -Sn 256; exec "$@"')
    assert server.urls
    soft, still_hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    assert 600 < soft < 800
    assert still_hard == hard
    assert "hard limit" not in server.stderr
    server = start(root, "-c", config, "--port", "0", shell='ulimit -Sn 256; ulimit -Hn 300; exec "$@"')
    assert server.urls
    assert resource.prlimit(server.pid, resource.RLIMIT_NOFILE) == (300, 300)
    assert "The hard limit on open files is 300" in server.stderr
    assert server.get().status == 200


# The logs


def test_the_access_log_on_standard_output(root: Path, start: Callable[..., Flashpy]) -> None:
    server = start(root, "--port", "0", "--access-log")
    with server.client() as client:
        client.get("/index.html?q=1", "Referer: http://here/", "User-Agent: walker/1")
        client.get("/none", 'User-Agent: "quoted" \\ back\tslash é')
        client.ask("/", method="HEAD")
        client.head()
        client.send(b"GET /a\x01b HTTP/1.1\r\n\r\n")
        assert client.answer().status == 400
    assert server.end() == 0
    lines = server.stdout.splitlines()
    assert len(lines) == 4
    matches = [LINE.fullmatch(line) for line in lines]
    found = [match.groups() for match in matches if match]
    assert len(found) == 4
    assert found[0] == ("GET /index.html?q=1 HTTP/1.1", "200", "5", "http://here/", "walker/1")
    assert found[1][:2] == ("GET /none HTTP/1.1", "404") and int(found[1][2]) > 0
    assert found[1][3:] == ("-", r"\x22quoted\x22 \x5C back\x09slash \xC3\xA9")
    assert found[2][:3] == ("HEAD / HTTP/1.1", "200", "0")
    assert found[3][1] == "400" and r"\x01" in found[3][0]


def test_the_access_log_in_a_file(root: Path, start: Callable[..., Flashpy]) -> None:
    config = root / "flashpy.toml"
    config.write_text('[log]\naccess = true\naccess_file = "logs/access.log"\n')
    (root / "logs").mkdir()
    file = root / "logs" / "access.log"
    file.write_text("before\n")
    server = start(root, "-c", config, "--port", "0", cwd=Path("/"))  # the file is beside the configuration
    assert server.get().status == 200
    eventually("the line is written", lambda: file.read_text().count("\n") == 2)
    assert server.end() == 0
    before, line = file.read_text().splitlines()
    assert before == "before" and LINE.fullmatch(line)
    assert server.stdout == ""


def test_an_access_log_that_cannot_be_opened(root: Path) -> None:
    config = root / "flashpy.toml"
    config.write_text('[log]\naccess = true\naccess_file = "none/access.log"\n')
    ended = run(root, "-c", config, "--port", "0")
    assert ended.code == 1
    assert "none/access.log cannot be opened: No such file or directory" in sentence(ended)


def test_every_line_of_the_access_log_is_written_at_the_end(root: Path, start: Callable[..., Flashpy]) -> None:
    count = 3000
    server = start(root, "--port", "0", "--access-log")
    with server.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n" * count)
        for _ in range(count):
            assert client.answer().status == 200
        assert server.end() == 0
    assert server.stdout.count("\n") == count


def test_a_download_that_is_cut_off_is_in_the_access_log(
    root: Path, stack: ExitStack, start: Callable[..., Flashpy]
) -> None:
    server = start(root, "--port", "0", "--access-log", "--timeout-graceful-shutdown", "0")
    download = slow_download(stack, server, root)
    assert server.end() == 0
    got = len(download.rest())
    match = LINE.fullmatch(server.stdout.strip())
    assert match is not None
    assert match[1] == "GET /big HTTP/1.1"
    assert got <= int(match[3]) < BIG


def test_an_access_log_that_nobody_reads_any_more(root: Path, stack: ExitStack) -> None:
    process = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-m", "flashpy", str(root), "--port", "0", "--access-log"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean_environment(),
        )
    )
    stack.callback(process.kill)
    assert process.stdout is not None and process.stderr is not None
    match = re.search(rb"http://127\.0\.0\.1:(\d+)", process.stderr.readline())
    assert match is not None
    process.stdout.close()
    with Client(("127.0.0.1", int(match[1]))) as client:
        for _ in range(3):
            assert client.get().body == b"hello"
            time.sleep(0.15)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert b"lines of the access log are missing: Broken pipe." in err
    assert b"Traceback" not in err and b"Exception" not in err


def test_debug_prints_the_counters_and_the_stalls_at_the_end(root: Path, start: Callable[..., Flashpy]) -> None:
    server = start(root, "--port", "0", "--log-level", "debug")
    with server.client() as client:
        for _ in range(7):
            assert client.get().status == 200
    assert server.end() == 0
    match = re.search(r"(?m)DEBUG flashpy.worker: Counters at exit: (\{.*\})$", server.stderr)
    assert match is not None
    counters = ast.literal_eval(match[1])
    assert (counters["requests"], counters["connections_accepted"], counters["faults"]) == (7, 1, 0)
    assert counters["cache"]["pathnames"] == 1
    assert {"le_0.002", "le_0.1", "longer", "longest", "longest_cause"} <= set(counters["stalls"])
    assert counters["pool"]["helpers"] == 2
