"""Locust against a server of its own, on the loopback interface only.

    python benchmarks/locust/run.py web         Locust's page: choose the number of users, press start
    python benchmarks/locust/run.py headless    a run of half a minute, its summary, locust-report.html

The exit code is Locust's: not 0 if a request failed.
"""

from __future__ import annotations

import argparse
import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

LOOPBACK = "127.0.0.1"
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
REPORT = Path("locust-report.html")
PATIENCE = 10.0  # seconds, for the start of the server and for its end


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=1)
    try:
        connection.request("HEAD", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def wait_until_it_answers(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while not answers(port):
        if server.poll() is not None:
            sys.exit(f"the server ended at once, with code {server.returncode}")
        if time.monotonic() > deadline:
            sys.exit(f"the server did not answer within {PATIENCE:g} seconds")
        time.sleep(0.05)


def end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@contextmanager
def flashpy(tree: Path) -> Iterator[int]:
    """A server of `tree`; yields its port."""
    port = free_port()
    arguments = [str(tree), "--host", LOOPBACK, "--port", str(port), "--no-access-log"]
    server = subprocess.Popen(
        [sys.executable, "-m", "flashpy", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        # Ctrl-C is for Locust alone: a server that went first would make its last requests fail.
        process_group=0,
    )
    try:
        wait_until_it_answers(server, port)
        yield port
    finally:
        end(server)


def locust(port: int, options: Sequence[str]) -> int:
    target = ["-f", str(HERE / "static.py"), "--host", f"http://{LOOPBACK}:{port}"]
    process = subprocess.Popen([sys.executable, "-m", "locust", *target, *options])
    # The terminal sends Ctrl-C to Locust as well, which ends with its summary: wait for that.
    interrupt = signal.signal(signal.SIGINT, lambda *_: None)
    terminate = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, terminate)


def web(options: argparse.Namespace) -> list[str]:
    port = free_port()
    print(f"Locust's page: http://{LOOPBACK}:{port}/   (Ctrl-C ends it)", flush=True)
    page = ["--web-host", LOOPBACK, "--web-port", str(port), "--loglevel", "WARNING"]
    # Without --seconds a run that is started on the page goes on until it is stopped there.
    limit = ["--run-time", f"{options.seconds}s"] if options.seconds else []
    return [*page, *limit]


def headless(options: argparse.Namespace) -> list[str]:
    seconds = options.seconds or 30
    print(f"{options.users} users for {seconds} seconds", flush=True)
    report = ["--only-summary", "--html", str(REPORT), "--loglevel", "WARNING"]
    return ["--headless", "--run-time", f"{seconds}s", *report]


def positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description="Run Locust against a flashpy on the loopback interface.",
        epilog="Other options are handed on to Locust: --zipf 1.0, --think-time 0.5, --processes 2, ...",
    )
    parser.add_argument("mode", choices=("web", "headless"))
    parser.add_argument("--seconds", type=positive, help="length (headless: 30; web: until stopped)")
    parser.add_argument("--users", type=positive, default=50, help="visitors at a time (default: 50)")
    parser.add_argument(
        "--tree",
        type=Path,
        default=ROOT / "docs" / "site",
        metavar="DIR",
        help="directory to serve and to ask for (default: the example site, docs/site)",
    )
    return parser.parse_known_args()


def main() -> int:
    options, others = parse()
    tree = options.tree.resolve()
    if not tree.is_dir():
        sys.exit(f"{options.tree} is not a directory")
    if find_spec("locust") is None:
        sys.exit("Locust is not installed: pip install '.[locust]'")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # by way of `end`
    users = ["--users", str(options.users), "--spawn-rate", str(options.users), "--tree", str(tree)]
    with flashpy(tree) as port:
        mode = web(options) if options.mode == "web" else headless(options)
        code = locust(port, [*mode, *users, *others])
    if options.mode == "headless" and code in (0, 1) and REPORT.exists():
        print(f"report: {REPORT}")
    return code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
