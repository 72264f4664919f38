"""TLS with a supervisor and its workers: resumption in any worker, renewal, privileges, options."""

import os
import pwd
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.running import PATIENCE, REPOSITORY, Flashpy, clean_environment, eventually
from tests.supervisor.supervised import port_of
from tests.supervisor.test_supervisor import reachable_python
from tests.tls.authority import Authority, Pair, TlsClient


def write(file: Path, pair: Pair, more: str = "", server: str = "") -> Path:
    """Write a configuration by which TLS is spoken on the port of this file."""
    new = file.with_suffix(".new")
    new.write_text(
        f'[server]\nbind = []\n{server}\n[tls]\nbind = ["127.0.0.1:{port_of(file)}"]\n{more}\n'
        f'[[tls.certificate]]\nfile = "{pair.file}"\nkey = "{pair.key}"\n[site]\nroot = "site"\n'
    )
    new.replace(file)
    return file


def start(stack: ExitStack, file: Path) -> Flashpy:
    server = stack.enter_context(Flashpy("-c", file, "--log-level", "debug"))
    assert server.urls == [f"https://127.0.0.1:{port_of(file)}"]
    return server


def connect(stack: ExitStack, file: Path, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> TlsClient:
    return stack.enter_context(TlsClient(("127.0.0.1", port_of(file)), context, session=session))


def reload(server: Flashpy) -> None:
    before = server.stderr.count("is in force")
    server.tell(signal.SIGHUP)
    eventually("it is in force", lambda: server.stderr.count("is in force") > before)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_each_worker_resumes_what_another_has_begun(
    stack: ExitStack, root: Path, tmp_path: Path, authority: Authority, version: str
) -> None:
    file = write(tmp_path / "flashpy.toml", authority.issue("one"), server="workers = 2")
    server = start(stack, file)
    context = authority.context(version)
    workers = sorted(server.workers())
    sessions = []
    for stopped, awake in (workers, reversed(workers)):
        os.kill(stopped, signal.SIGSTOP)
        try:
            first = connect(stack, file, context)
            assert first.get().status == 200
            sessions.append((first.sock.session, awake))
        finally:
            os.kill(stopped, signal.SIGCONT)
    for (session, begun_in), stopped in zip(sessions, [begun for _, begun in sessions], strict=True):
        assert begun_in == stopped
        os.kill(stopped, signal.SIGSTOP)  # so the other one resumes it
        try:
            again = connect(stack, file, context, session)
            assert again.get().body == b"hello"
            assert again.sock.session_reused
        finally:
            os.kill(stopped, signal.SIGCONT)
    assert server.end() == 0


def test_a_reload_reads_the_certificates_and_ends_no_connection(
    stack: ExitStack, root: Path, tmp_path: Path, authority: Authority
) -> None:
    file = write(tmp_path / "flashpy.toml", authority.issue("changing", "localhost", "first.example"))
    server = start(stack, file)
    context = authority.context()
    idle, resumed = connect(stack, file, context), connect(stack, file, context)
    assert idle.get().status == resumed.get().status == 200
    half = connect(stack, file, context)
    half.send(b"GET / HTTP/1.1\r\nHo")
    before = server.worker
    authority.issue("changing", "localhost", "second.example")
    reload(server)  # the worker before may accept for a moment still
    eventually("another accepts", lambda: "second.example" in connect(stack, file, context).names())
    fresh = connect(stack, file, context)
    assert fresh.names() == ["localhost", "second.example"]
    assert fresh.get().status == 200
    again = connect(stack, file, context, resumed.sock.session)
    assert again.get().status == 200
    assert again.sock.session_reused
    half.send(b"st: test\r\n\r\n")
    for client in (half, idle):  # of the worker before, which asks them to come again
        answer = client.answer() if client is half else client.get()
        assert (answer.status, answer.fields["connection"]) == (200, "close")
        assert client.says_end()
    resumed.close()
    eventually("the worker before ends", lambda: server.workers() != {before} and before not in server.workers())
    assert server.end() == 0


def test_certificates_that_change_are_used_by_workers_that_can_open_nothing(
    stack: ExitStack, root: Path, tmp_path: Path, authority: Authority
) -> None:
    first = authority.issue("changing", "localhost", "first.example")
    file = write(tmp_path / "flashpy.toml", first, server="workers = 2")
    server = start(stack, file)
    assert "confined by Landlock" in server.stderr
    context = authority.context()
    kept = connect(stack, file, context)
    assert kept.get().status == 200
    workers = server.workers()
    other = authority.issue("other", "localhost", "second.example", kind="RSA")
    first.file.write_bytes(other.file.read_bytes())  # and then, later, its key
    eventually("it is said", lambda: "its key belongs to another certificate" in server.stderr)
    assert connect(stack, file, context).names() == ["localhost", "first.example"]
    first.key.write_bytes(other.key.read_bytes())
    eventually("it is said", lambda: "The new certificates are in use" in server.stderr)
    for stopped in sorted(workers):
        os.kill(stopped, signal.SIGSTOP)
        try:
            eventually(
                "the other worker has it",
                lambda: connect(stack, file, context).names() == ["localhost", "second.example"],
            )
        finally:
            os.kill(stopped, signal.SIGCONT)
    assert server.workers() == workers
    assert kept.get().status == 200
    assert server.end() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_key_that_only_root_may_read(stack: ExitStack, authority: Authority) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    libraries = os.pathsep.join([str(REPOSITORY), *(path for path in sys.path if "site-packages" in path)])
    python = reachable_python(nobody, clean_environment(PYTHONPATH=libraries))
    if python is None:
        pytest.skip("an ordinary user can read no Python, or not this source tree")
    place = Path(tempfile.mkdtemp(prefix="flashpy-tls-"))
    stack.callback(shutil.rmtree, place)
    place.chmod(0o755)
    (place / "site").mkdir()
    (place / "site" / "index.html").write_text("hello")
    pair = authority.issue("changing", "localhost", "first.example")
    file = write(place / "flashpy.toml", pair, server='user = "nobody"')
    server = stack.enter_context(Flashpy("-c", file, python=python, environment={"PYTHONPATH": libraries}))
    assert os.stat(f"/proc/{server.worker}").st_uid == nobody
    assert connect(stack, file, authority.context()).get().body == b"hello"
    authority.issue("changing", "localhost", "second.example")
    assert pair.key.stat().st_mode & 0o777 == 0o600
    eventually("it is said", lambda: "The new certificates are in use" in server.stderr)
    eventually(
        "it is used", lambda: connect(stack, file, authority.context()).names() == ["localhost", "second.example"]
    )
    assert server.end() == 0


def test_a_reload_from_plain_http_to_tls_at_the_same_address(
    stack: ExitStack, root: Path, tmp_path: Path, authority: Authority
) -> None:
    file = tmp_path / "flashpy.toml"
    file.write_text(f'[server]\nbind = ["127.0.0.1:{port_of(file)}"]\n[site]\nroot = "site"\n')
    server = stack.enter_context(Flashpy("-c", file))
    assert server.get().status == 200
    before = server.worker
    write(file, authority.issue("one"))
    reload(server)
    eventually("the worker of plain HTTP has gone", lambda: before not in server.workers())
    assert connect(stack, file, authority.context()).get().status == 200
    write(file, Pair(tmp_path / "none", tmp_path / "none"))
    server.tell(signal.SIGHUP)
    eventually("it is refused", lambda: "stays as it was" in server.stderr)
    assert "none cannot be read: No such file or directory." in server.stderr
    assert connect(stack, file, authority.context()).get().status == 200
    assert server.end() == 0


def test_the_options(stack: ExitStack, root: Path, authority: Authority) -> None:
    pair = authority.issue("one")
    options = ["--port", "0", "--tls-certificate", str(pair.file), "--tls-key", str(pair.key), "--security-headers"]
    server = stack.enter_context(Flashpy(root, *options))
    (url,) = server.urls
    assert url.startswith("https://127.0.0.1:")
    client = stack.enter_context(TlsClient(("127.0.0.1", server.port), authority.context()))
    answer = client.get()
    assert answer.body == b"hello"
    assert answer.fields["strict-transport-security"] == "max-age=31536000"
    assert answer.fields["x-content-type-options"] == "nosniff"
    assert server.end() == 0


def test_a_certificate_for_development(stack: ExitStack, root: Path) -> None:
    server = stack.enter_context(Flashpy(root, "--port", "0", "--tls-self-signed", "--security-headers"))
    assert server.urls[0].startswith("https://")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client = stack.enter_context(TlsClient(("127.0.0.1", server.port), context))
    answer = client.get()
    assert answer.body == b"hello"
    assert "strict-transport-security" not in answer.fields  # a browser could never ask again
    assert server.end() == 0


def test_pages_that_reload_themselves_do_so_by_tls(stack: ExitStack, root: Path) -> None:
    server = stack.enter_context(Flashpy(root, "--port", "0", "--tls-self-signed", "--reload"))
    assert server.urls
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client = stack.enter_context(TlsClient(("127.0.0.1", server.port), context))
    assert b"/-/reload.js" in client.get().body
    client.ask("/-/reload")
    assert client.head().status == 200
    assert client.read(12) == b"retry: 500\n\n"
    (root / "index.html").write_text("changed")
    assert client.read(6) == b"data: "


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--tls-key", "x"], "Give --tls-certificate too"),
        (["--tls-certificate", "none.pem"], "none.pem cannot be read: No such file or directory."),
        (["--tls-self-signed", "--tls-certificate", "x"], "there is a certificate already; leave one of them out."),
        (["--tls-self-signed", "--architecture", "mp"], "TLS takes an event loop: the architecture amped, or sped."),
    ],
)
def test_options_that_cannot_be_used(root: Path, options: list[str], sentence: str) -> None:
    done = command(str(root), "--port", "0", *options)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_commands_that_ask_the_server_do_so_by_tls(
    stack: ExitStack, root: Path, tmp_path: Path, authority: Authority
) -> None:
    file = write(tmp_path / "flashpy.toml", authority.issue("one"))
    server = start(stack, file)
    asked = command("explain", "/", "-c", str(file), "--running")
    assert (asked.returncode, asked.stdout.count("200 OK"), asked.stderr) == (0, 2, "")
    assert "it would be" not in asked.stdout
    warmed = command("warm", "-c", str(file))
    assert warmed.returncode == 0
    assert "1 files warm" in warmed.stderr + warmed.stdout
    checked = command("check", "-c", str(file), "--strict")
    assert (checked.returncode, checked.stdout) == (0, f"{file}: good.\n")
    assert server.end() == 0


def command(*words: str) -> subprocess.CompletedProcess[str]:
    """A command of flashpy, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "flashpy", *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=clean_environment(),
    )
