"""The admin address of a supervised server: metrics, readiness and status, by real processes."""

import http.client
import json
import os
import re
import signal
import socket
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from flashpy.admin.view import View
from tests.running import PATIENCE, Answer, Client, Flashpy, children_of, eventually, is_alive, title_of
from tests.supervisor.supervised import Load, connect, new_supervisor, port_of, reload, write

BIG = 32 * 2**20
ADMIN = '[admin]\nbind = ["127.0.0.1:{port}"]\n'


class Admin:
    """What an admin address says."""

    def __init__(self, address: tuple[str, int] | str) -> None:
        self.address = address

    def get(self, target: str, *fields: str, method: str = "GET") -> Answer:
        """Ask on a connection of its own."""
        with Client(self.address) as client:
            lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *fields, "", ""]
            client.send("\r\n".join(lines).encode())
            answer = client.head()
            length = int(answer.fields.get("content-length", "0")) if method != "HEAD" else 0
            return answer._replace(body=client.read(length))

    def status(self) -> int:
        """Whether it is ready."""
        return self.get("/-/ready").status

    def view(self) -> View:
        """The status, as programs get it."""
        return msgspec.json.decode(self.get("/-/status.json").body, type=View)

    def metrics(self) -> dict[tuple[str, str], float]:
        """All samples by name and the value of their only label."""
        text = self.get("/-/metrics").body.decode()
        return {
            (sample.name, "".join(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if "le" not in sample.labels
        }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration file, beside the site."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("hello")
    (tmp_path / "site" / "big").write_bytes(bytes(BIG))
    (tmp_path / "site" / "page.html").write_text("a page " * 100)
    return tmp_path / "flashpy.toml"


def admin_of(server: Flashpy) -> Admin:
    """The admin address of a server that serves."""
    assert server.urls
    eventually("the admin address is told", lambda: "/-/status" in server.stderr)
    port = re.findall(r"Status and metrics are at http://127\.0\.0\.1:(\d+)", server.stderr)[-1]
    return Admin(("127.0.0.1", int(port)))


def admin_process(server: Flashpy) -> int:
    """The process behind it."""
    found = [pid for pid in children_of(server.pid) if title_of(pid).startswith("flashpy: admin")]
    assert len(found) == 1
    return found[0]


@pytest.fixture
def running(stack: ExitStack, file: Path) -> tuple[Flashpy, Admin]:
    """A server with two workers, and its admin address."""
    write(file, server="workers = 2")
    server = stack.enter_context(Flashpy("-c", file, "--admin", "127.0.0.1:0"))
    return server, admin_of(server)


# What is counted


def test_the_counters_of_all_workers_add_up(running: tuple[Flashpy, Admin]) -> None:
    """To what was asked for, by status; with the parser of Prometheus' own library."""
    server, admin = running
    for _ in range(30):
        for target, times in (("/", 5), ("/page.html", 2), ("/missing", 1)):
            with server.client() as client:
                for _ in range(times):
                    client.get(target)

    def told() -> bool:
        metrics = admin.metrics()
        return metrics.get(("flashpy_requests_total", "404")) == 30 and metrics["flashpy_requests_total", "200"] == 210

    eventually("all is told", told)
    metrics = admin.metrics()
    assert metrics["flashpy_requests_received_total", ""] == 240
    assert metrics["flashpy_connections_accepted_total", ""] == 90
    assert metrics["flashpy_answer_seconds_count", "hit"] + metrics["flashpy_answer_seconds_count", "miss"] == 240
    assert 2 <= metrics["flashpy_answer_seconds_count", "miss"] <= 2 * 90
    assert metrics["flashpy_sent_bytes_total", ""] > 60 * len("a page " * 100)
    assert metrics["flashpy_faults_total", ""] == 0
    assert (metrics["flashpy_workers", ""], metrics["flashpy_ready", ""]) == (2, 1)
    served = [metrics["flashpy_worker_requests_total", number] for number in ("1", "2")]
    assert sum(served) == 240


def test_what_a_dead_worker_has_counted_is_not_lost(stack: ExitStack, running: tuple[Flashpy, Admin]) -> None:
    server, admin = running
    with server.client() as client:
        for _ in range(20):
            client.get()
    eventually("it is told", lambda: admin.metrics()["flashpy_requests_received_total", ""] == 20)
    for pid in server.workers():
        os.kill(pid, signal.SIGKILL)
    eventually("others serve", lambda: admin.metrics()["flashpy_worker_starts_total", ""] == 4)
    eventually("they are ready", lambda: admin.metrics()["flashpy_workers", ""] == 2)
    assert admin.metrics()["flashpy_requests_received_total", ""] == 20
    assert admin.view().counters["requests"] == 20


def test_the_format_follows_the_accept_field(running: tuple[Flashpy, Admin]) -> None:
    _, admin = running
    plain = admin.get("/-/metrics")
    assert plain.fields["content-type"].startswith("text/plain")
    open_metrics = admin.get("/-/metrics", "Accept: application/openmetrics-text; version=1.0.0")
    assert open_metrics.fields["content-type"].startswith("application/openmetrics-text")
    assert open_metrics.body.endswith(b"# EOF\n")


def test_the_page_for_prometheus_under_load(stack: ExitStack, file: Path) -> None:
    """Each sample can be read, histograms rise, and counters never fall."""
    write(file, server="workers = 2")
    server = stack.enter_context(Flashpy("-c", file, "--admin", "127.0.0.1:0"))
    admin = admin_of(server)
    load = Load(stack, file)
    eventually("there is load", lambda: load.answered > 500)
    before: dict[Any, float] = {}
    for _ in range(20):
        for family in text_string_to_metric_families(admin.get("/-/metrics").body.decode()):
            assert family.documentation and family.name.startswith("flashpy_")
            rising = 0.0
            for sample in family.samples:
                key = (sample.name, *sorted(sample.labels.items()))
                if family.type in ("counter", "histogram"):
                    assert sample.value >= before.get(key, 0.0)
                if sample.name.endswith("_bucket"):
                    rising = 0.0 if sample.labels["le"] == "1e-05" else rising
                    assert sample.value >= rising
                    rising = sample.value
                before[key] = sample.value
    load.stop()
    assert load.failures == []
    eventually("all is told", lambda: admin.view().counters["requests"] == load.answered)


def test_the_status_says_how_it_goes(stack: ExitStack, file: Path) -> None:
    """Rates, latencies, caches, devices, workers."""
    write(file, server="workers = 2")
    server = stack.enter_context(Flashpy("-c", file, "--admin", "127.0.0.1:0"))
    admin = admin_of(server)
    load = Load(stack, file)
    eventually("rates are told", lambda: admin.view().rates.requests > 0 and len(admin.view().workers) == 2)
    view = admin.view()
    assert view.ready and view.phase == "running" and view.addresses == server.urls
    assert view.rates.answers.p50 is not None and view.rates.answers.p99 is not None
    assert 0 < view.rates.answers.p50 <= view.rates.answers.p99 < PATIENCE
    assert {cache.name for cache in view.caches} == {"pathname", "header", "file", "descriptor", "coded"}
    assert view.pools["disk"].helpers >= 2 and view.devices
    assert sum(view.connections.values()) >= 1
    assert {worker.number for worker in view.workers} == {1, 2}
    load.stop()


def test_stalls_are_told_with_their_causes(stack: ExitStack, file: Path) -> None:
    """A worker that is stopped for a while, in the middle of load, has held its clients up."""
    server = stack.enter_context(Flashpy("-c", write(file, server="workers = 1"), "--admin", "127.0.0.1:0"))
    admin = admin_of(server)
    load = Load(stack, file)
    worker = server.worker

    def stalled() -> bool:
        os.kill(worker, signal.SIGSTOP)
        admin.get("/-/health")
        os.kill(worker, signal.SIGCONT)
        return any(stall.cause for stall in admin.view().stalls.worst)

    eventually("a stall is told", stalled)
    load.stop()
    stall = admin.view().stalls.worst[0]
    assert stall.seconds >= 0.002
    assert re.match(r"answering /|receiving|sending|after ", stall.cause)


# Whether it is ready


def test_it_is_ready_through_a_reload_and_not_while_it_drains(stack: ExitStack, file: Path) -> None:
    """A load balancer is to send nothing any more when the server ends; but its status can be seen."""
    port = port_of(file.with_name("admin"))
    server = stack.enter_context(Flashpy("-c", write(file, 1), "--admin", f"127.0.0.1:{port}"))
    admin = admin_of(server)
    eventually("it is ready", lambda: admin.status() == 200)
    assert admin.get("/-/health").status == 200
    process = admin_process(server)
    for generation in (2, 3):
        reload(server, file, generation)
        assert admin.status() == 200
    assert admin_process(server) == process
    eventually("reloads are counted", lambda: admin.metrics()["flashpy_reloads_total", ""] == 2)
    client = connect(stack, file)
    client.ask("/big")  # which it does not read yet: this is waited for
    eventually("it is being sent", lambda: admin.view().connections["sending"] == 1)
    server.tell(signal.SIGTERM)
    eventually("it is not ready", lambda: admin.status() == 503)
    assert admin.get("/-/health").status == 200
    assert admin.view().phase == "ending"
    assert len(client.answer().body) == BIG
    assert server.wait() == 0
    assert not is_alive(process)


def test_another_takes_the_place_of_one_that_has_died(running: tuple[Flashpy, Admin]) -> None:
    server, admin = running
    process = admin_process(server)
    os.kill(process, signal.SIGKILL)
    eventually("it has gone", lambda: not is_alive(process))
    assert admin.status() in (200, 503)  # who asks meanwhile waits in the queue of the socket
    eventually("it is told how all are", lambda: admin.status() == 200)
    assert admin_process(server) != process


def test_the_address_follows_the_configuration(stack: ExitStack, file: Path) -> None:
    """None, then one, then another, then none."""
    ports = [port_of(file.with_name(f"admin-{number}")) for number in range(2)]

    def move(generation: int, admin: str) -> None:
        before = server.stderr.count("is in force")
        write(file, generation)
        with file.open("a") as out:
            out.write(admin)
        server.tell(signal.SIGHUP)
        eventually("it is in force", lambda: server.stderr.count("is in force") > before)

    def refused(port: int) -> bool:
        try:
            Client(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return True
        return False

    server = stack.enter_context(Flashpy("-c", write(file, 1)))
    assert server.urls
    assert refused(ports[0])
    for generation, port in enumerate(ports, 2):
        move(generation, ADMIN.format(port=port))
        eventually("it is ready", lambda port=port: Admin(("127.0.0.1", port)).status() == 200)  # type: ignore[misc]
    eventually("the first is no more", lambda: refused(ports[0]))
    move(4, "")
    eventually("there is none any more", lambda: refused(ports[1]))


def test_a_new_program_has_it_too(stack: ExitStack, file: Path) -> None:
    """With the same socket, so that nobody is refused meanwhile."""
    port = port_of(file.with_name("admin"))
    write(file, 1)
    with file.open("a") as out:
        out.write(ADMIN.format(port=port))
    server = stack.enter_context(Flashpy("-c", file))
    admin = admin_of(server)
    eventually("it is ready", lambda: admin.status() == 200)
    began = admin.view().uptime
    server.tell(signal.SIGUSR2)
    assert server.wait() == 0
    (successor,) = new_supervisor(stack, server)
    eventually("it is ready again", lambda: admin.status() == 200)
    eventually(
        "it is the new one's", lambda: f"admin of {successor}" in " ".join(map(title_of, children_of(successor)))
    )
    assert admin.view().uptime < began + PATIENCE


# Who may ask, and what


def test_a_unix_socket_is_for_who_works(stack: ExitStack, file: Path) -> None:
    path = file.with_name("admin.sock")
    server = stack.enter_context(Flashpy("-c", write(file), "--admin", f"unix:{path}"))
    assert server.urls
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Admin(str(path)).get("/-/health").status == 200
    assert server.end() == 0
    assert not path.exists()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example"])
def test_other_names_are_refused(running: tuple[Flashpy, Admin], host: str) -> None:
    """So that no page of another's can read it by a name of its own that leads here."""
    _, admin = running
    for target in ("/-/metrics", "/-/status", "/-/status.json", "/-/health", "/nothing"):
        with Client(admin.address) as client:
            client.send(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert client.answer().status == 421


def test_methods_and_addresses(running: tuple[Flashpy, Admin]) -> None:
    _, admin = running
    eventually("it is ready", lambda: admin.status() == 200)
    for target in ("/-/metrics", "/-/status", "/-/status.json", "/-/health", "/-/ready", "/-/status.css"):
        whole, head = admin.get(target), admin.get(target, method="HEAD")
        assert (whole.status, head.status, head.body) == (200, 200, b"")
        assert whole.fields["cache-control"] == "no-store" and whole.fields["x-content-type-options"] == "nosniff"
        refused = admin.get(target, method="POST")
        assert (refused.status, refused.fields["allow"]) == (405, "GET, HEAD")
    assert admin.get("/").fields["location"] == "/-/status"
    for target in ("/-/status/", "/-", "/-/../etc/passwd", "/index.html"):
        assert admin.get(target).status == 404


def test_the_status_is_a_page_for_people_and_json_for_programs(running: tuple[Flashpy, Admin]) -> None:
    _, admin = running
    eventually("it is ready", lambda: admin.status() == 200)
    page = admin.get("/-/status", "Accept: text/html,application/xhtml+xml,*/*;q=0.8")
    assert page.fields["content-type"].startswith("text/html") and page.fields["vary"] == "Accept"
    policy = page.fields["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert b"<script>" not in page.body and b"style=" not in page.body
    for accept in ("Accept: application/json", "Accept: */*"):
        assert json.loads(admin.get("/-/status", accept).body)["ready"] is True


def test_the_site_itself_has_none_of_it(running: tuple[Flashpy, Admin]) -> None:
    server, _ = running
    for target in ("/-/metrics", "/-/status", "/-/health"):
        assert server.get(target).status == 404


def test_the_process_may_open_no_file(running: tuple[Flashpy, Admin]) -> None:
    """As workers may not: it hears what anybody who reaches it says."""
    server, admin = running
    eventually("it is ready", lambda: admin.status() == 200)
    if "confined by Landlock" not in server.stderr:
        pytest.skip("this kernel has no Landlock")
    status = Path(f"/proc/{admin_process(server)}/status").read_text()
    assert re.search(r"NoNewPrivs:\s+1", status)


# What cannot be


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ('[admin]\nbind = ["nowhere"]\n', "is no address"),
        ('[admin]\nbind = ["unix:/x"]\nunix_mode = "7"\n', "is no mode"),
        ('[server]\narchitecture = "mt"\n[admin]\nbind = ["127.0.0.1:0"]\n', "amped or sped"),
        ('[server]\nbind = ["127.0.0.1:1"]\n[admin]\nbind = ["127.0.0.1:1"]\n', "in server.bind too"),
        ('[server]\narchitecture = "mp"\nserver_timing = true\n', "amped or sped"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, keys: str, why: str) -> None:
    file = tmp_path / "flashpy.toml"
    file.write_text(keys)
    with Flashpy("-c", file) as server:
        assert server.wait() == 2
        assert why in server.stderr and str(file) in server.stderr


@pytest.mark.parametrize(("address", "warns"), [("0.0.0.0:9180", True), ("127.0.0.1:9180", False), ("unix:x", False)])
def test_who_reaches_it_may_read_it(tmp_path: Path, address: str, warns: bool) -> None:
    """So ``flashpy check`` wonders where others may reach it."""
    file = tmp_path / "flashpy.toml"
    file.write_text(f'[admin]\nbind = ["{address}"]\n')
    with Flashpy("check", "-c", file) as check:
        assert check.wait() == 0
        assert ("admin.bind: whoever reaches" in check.stderr) == warns


def test_an_address_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with Flashpy(tmp_path, "--port", "0", "--admin", f"127.0.0.1:{port}") as server:
            assert server.wait() == 1
            assert f"Port {port} on 127.0.0.1 is in use already" in server.stderr


def test_it_speaks_http_to_others(running: tuple[Flashpy, Admin]) -> None:
    """A client that is not ours."""
    _, admin = running
    assert not isinstance(admin.address, str)
    connection = http.client.HTTPConnection(*admin.address, timeout=PATIENCE)
    try:
        for _ in range(2):
            connection.request("GET", "/-/health")
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"It lives.\n")
    finally:
        connection.close()


def test_a_server_that_does_its_jobs_itself_has_it_too(stack: ExitStack, file: Path) -> None:
    """Without helpers there are no pools and no devices to be told of."""
    server = stack.enter_context(Flashpy("-c", write(file), "--architecture", "sped", "--admin", "127.0.0.1:0"))
    admin = admin_of(server)
    assert server.get("/").status == 200
    eventually("it is told", lambda: admin.metrics().get(("flashpy_requests_total", "200")) == 1)
    view = admin.view()
    assert (view.pools, view.devices, view.ready) == ({}, [], True)
    assert admin.metrics()["flashpy_answer_seconds_count", "miss"] == 1
