"""The servers that are compared, as a table of data: one row for each server under each setting.

Words in braces in a command or an environment, and words between ``@`` in a configuration template of ``peers/``,
are filled in when the server is started: ``port``, ``root`` (the directory to serve), ``run`` (a scratch directory
of this run), ``config`` (the rendered template), ``peers`` (the directory of templates and small applications),
``python``, ``compiled_python`` (one that has flashpy's compiled wheel), ``peers_python``, ``peers_bin`` (the directory
of that interpreter), ``user``, ``group``, and the ``values`` of the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations


@dataclass(frozen=True)
class Kind:
    """One server under one setting. It is absent where its ``version`` command fails."""

    name: str
    title: str
    command: tuple[str, ...]
    version: tuple[str, ...]
    template: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    scheme: str = "http"


def packages(python: str, *names: str) -> tuple[str, ...]:
    """A command that prints the versions of installed Python packages, and fails where one is missing."""
    program = f"from importlib.metadata import version as v; print(', '.join(p + ' ' + v(p) for p in {names}))"
    return python, "-c", program


FLASHPY = ("{python}", "-m", "flashpy", "{root}", "--host", "127.0.0.1", "--port", "{port}", "--log-level", "warning")
FLASHPY_QUIET = (*FLASHPY, "--no-access-log")
CONCURRENCY = ("--concurrency", "{concurrency}")
"""MP and MT serve no more connections than they have processes or threads: more than any load generator opens here."""
COMPILED = ("{compiled_python}", "-P", *FLASHPY[1:])
"""Not what lies in the working directory, but what is installed beside that interpreter."""
TLS = ("--tls-certificate", "{certificate}", "--tls-key", "{key}")
"""These words are of the benchmark that makes a certificate."""
FLASHPY_VERSION = ("{python}", "-m", "flashpy", "--version")
NGINX = ("nginx", "-e", "{run}/error.log", "-p", "{run}", "-c", "{config}")
NGINX_VERSION = ("nginx", "-v")
OPEN_FILES = "max=50000 inactive=10m"
"""nginx's cache of open files, with room for all that are asked for."""
GRANIAN = ("{peers_python}", "-m", "granian", "--host", "127.0.0.1", "--port", "{port}", "--http", "1", "--no-ws",
           "--workers", "1", "--backlog", "8192", "--backpressure", "16384", "--http1-pipeline-flush",
           "--log-level", "warning")  # fmt: skip
"""One worker; as many connections as the idle case opens; pipelined answers in one write."""


def caches(names: tuple[str, ...]) -> Kind:
    """flashpy with these of its three caches, and without the others."""
    entries = {"pathname": "20000", "header": "20000", "file": "10000"}
    values = {name: entries[name] if name in names else "0" for name in entries}
    title = f"caches: {' + '.join(names) or 'none'}"
    command = (*FLASHPY, "-c", "{config}")
    values["descriptors"] = "1000" if "file" in names else "0"
    return Kind(f"caches-{'-'.join(names) or 'none'}", title, command, FLASHPY_VERSION, "flashpy-caches.toml", values)


def way(name: str, title: str) -> Kind:
    """flashpy with one thing done in another way (benchmarks.ways)."""
    python, _, _, *rest = FLASHPY_QUIET
    return Kind(f"ways-{name}", f"flashpy, {title}", (python, "-m", "benchmarks.ways", name, *rest), FLASHPY_VERSION)


HAPROXY = ("haproxy", "-db", "-q", "-f", "{config}")
HAPROXY_VERSION = ("haproxy", "-v")
BY_URI = "balance uri\n    hash-type consistent\n    hash-balance-factor 125"
BY_TABLE = "stick-table type integer size 100k expire 1h store server_id\n    stick match path,xxh32"
DRIVEN = (
    "trap 'trap - TERM; kill 0; wait' TERM; {python} -m flashpy lard-haproxy --socket {run}/admin.sock "
    f"--log 127.0.0.1:{{port}} & {' '.join(HAPROXY)} & wait"
)
"""HAProxy and its driver; its log goes to the UDP port of the same number."""


def front(policy: str, title: str) -> Kind:
    """flashpy as the front-end of a cluster."""
    command = ("{python}", "-m", "flashpy", "front", "-c", "{config}")
    return Kind(f"front-{policy}", f"flashpy, {title}", command, FLASHPY_VERSION, "cluster-front.toml",
                {"policy": policy})  # fmt: skip


COMBINATIONS = [
    caches(names) for count in (3, 2, 1, 0) for names in combinations(("pathname", "header", "file"), count)
]
CACHES = tuple(kind.name for kind in COMBINATIONS)
"""Names of the kinds that have all, some or none of the caches; all comes first."""

KINDS = {
    kind.name: kind
    for kind in (
        Kind("flashpy", "flashpy", FLASHPY_QUIET, FLASHPY_VERSION),
        Kind("flashpy-log", "flashpy, access log on", (*FLASHPY, "-c", "{config}"), FLASHPY_VERSION,
             template="flashpy-log.toml"),
        Kind("flashpy-compiled", "flashpy, compiled", (*COMPILED, "--no-access-log"),
             ("{compiled_python}", "-P", "-m", "flashpy", "--version")),
        Kind("flashpy-compiled-log", "flashpy, compiled, access log on", (*COMPILED, "-c", "{config}"),
             ("{compiled_python}", "-P", "-m", "flashpy", "--version"), template="flashpy-log.toml"),
        Kind("flashpy-sped", "flashpy, SPED", (*FLASHPY_QUIET, "--architecture", "sped"), FLASHPY_VERSION),
        Kind("flashpy-mp", "flashpy, MP", (*FLASHPY_QUIET, "--architecture", "mp", *CONCURRENCY), FLASHPY_VERSION,
             values={"concurrency": "128"}),
        Kind("flashpy-mp-8", "flashpy, MP of 8", (*FLASHPY_QUIET, "--architecture", "mp", *CONCURRENCY),
             FLASHPY_VERSION, values={"concurrency": "8"}),
        Kind("flashpy-mt", "flashpy, MT", (*FLASHPY_QUIET, "--architecture", "mt", *CONCURRENCY), FLASHPY_VERSION,
             values={"concurrency": "128"}),
        Kind("flashpy-mt-256", "flashpy, MT of 256", (*FLASHPY_QUIET, "--architecture", "mt", *CONCURRENCY),
             FLASHPY_VERSION, values={"concurrency": "256"}),
        Kind("flashpy-tls", "flashpy by TLS", (*FLASHPY_QUIET, *TLS), FLASHPY_VERSION, scheme="https"),
        Kind("flashpy-compiled-tls", "flashpy by TLS, compiled", (*COMPILED, "--no-access-log", *TLS),
             ("{compiled_python}", "-P", "-m", "flashpy", "--version"), scheme="https"),
        Kind("nginx-tls", "nginx by TLS, sendfile", NGINX, NGINX_VERSION, template="nginx-tls.conf",
             values={"sendfile": "on"}, scheme="https"),
        Kind("nginx-tls-copy", "nginx by TLS, sendfile off", NGINX, NGINX_VERSION, template="nginx-tls.conf",
             values={"sendfile": "off"}, scheme="https"),
        *COMBINATIONS,
        Kind("node", "flashpy as a node", ("{python}", "-m", "flashpy", "node", "{root}", "-c", "{config}"),
             FLASHPY_VERSION, "cluster-node.toml"),
        front("rr", "round robin"),
        front("wrr", "least connections"),
        front("chbl", "bounded-load hashing"),
        front("lard", "LARD"),
        front("lard-r", "LARD/R"),
        Kind("haproxy-rr", "HAProxy, round robin", HAPROXY, HAPROXY_VERSION, "cluster-haproxy.cfg",
             {"balance": "balance roundrobin"}),
        Kind("haproxy-uri", "HAProxy, bounded-load hashing", HAPROXY, HAPROXY_VERSION, "cluster-haproxy.cfg",
             {"balance": BY_URI}),
        Kind("haproxy-lard", "HAProxy driven by LARD", ("sh", "-c", DRIVEN), HAPROXY_VERSION, "cluster-haproxy.cfg",
             {"balance": f"{BY_URI}\n    {BY_TABLE}"}),
        way("sendfile", "sendfile for all"),
        way("probes", "probes and sendfile"),
        way("read", "loads by read"),
        way("dontneed", "loads dropped when sent"),
        Kind("nginx", "nginx, sendfile", NGINX, NGINX_VERSION, template="nginx-hot.conf",
             values={"open_files": OPEN_FILES}),
        Kind("nginx-uncached", "nginx, sendfile, without open_file_cache", NGINX, NGINX_VERSION,
             template="nginx-hot.conf", values={"open_files": "off"}),
        Kind("flashpy-http2", "flashpy, HTTP/2", (*FLASHPY, "-c", "{config}"), FLASHPY_VERSION,
             template="flashpy-http2.toml"),
        Kind("nginx-http2", "nginx, HTTP/2", NGINX, NGINX_VERSION, template="nginx-http2.conf",
             values={"open_files": OPEN_FILES, "http2": "127.0.0.2"}),
        Kind("nginx-copy", "nginx, sendfile off", NGINX, NGINX_VERSION, template="nginx-copy.conf"),
        Kind("nginx-aio", "nginx, aio threads (32)", NGINX, NGINX_VERSION, template="nginx-aio.conf",
             values={"threads": "32", "open_files": OPEN_FILES}),
        Kind("nginx-aio-256", "nginx, aio threads (256)", NGINX, NGINX_VERSION, template="nginx-aio.conf",
             values={"threads": "256", "open_files": OPEN_FILES}),
        Kind("nginx-aio-uncached", "nginx, aio threads (32), without open_file_cache", NGINX, NGINX_VERSION,
             template="nginx-aio.conf", values={"threads": "32", "open_files": "off"}),
        Kind("lighttpd", "lighttpd", ("lighttpd", "-D", "-f", "{config}"), ("lighttpd", "-v"),
             template="lighttpd.conf"),
        Kind("h2o", "h2o", ("h2o", "-m", "worker", "-c", "{config}"), ("h2o", "-v"), template="h2o.conf"),
        Kind("caddy", "caddy", ("{peers_bin}/caddy", "run", "--adapter", "caddyfile", "--config", "{config}"),
             ("{peers_bin}/caddy", "version"), template="Caddyfile",
             environment={"HOME": "{run}", "XDG_DATA_HOME": "{run}", "XDG_CONFIG_HOME": "{run}"}),
        Kind("granian", "granian, static files",
             (*GRANIAN, "--interface", "rsgi", "--runtime-mode", "st", "--static-path-route", "",
              "--static-path-mount", "{root}", "--static-path-dir-to-file", "index.html",
              "--working-dir", "{peers}", "granian_app:app"), packages("{peers_python}", "granian")),
        Kind("granian-whitenoise", "granian + WhiteNoise",
             (*GRANIAN, "--interface", "wsgi", "--blocking-threads", "1", "--working-dir", "{peers}",
              "whitenoise_app:app"),
             packages("{peers_python}", "granian", "whitenoise"), environment={"PEER_ROOT": "{root}"}),
        Kind("uvicorn-starlette", "uvicorn + Starlette",
             ("{peers_python}", "-m", "uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--loop", "uvloop",
              "--http", "httptools", "--ws", "none", "--lifespan", "off", "--no-access-log", "--backlog", "8192",
              "--timeout-keep-alive", "75", "--log-level", "warning", "--app-dir", "{peers}", "starlette_app:app"),
             packages("{peers_python}", "uvicorn", "starlette", "uvloop", "httptools"),
             environment={"PEER_ROOT": "{root}"}),
        Kind("aiohttp", "aiohttp", ("{peers_python}", "{peers}/aiohttp_app.py", "{root}", "{port}"),
             packages("{peers_python}", "aiohttp", "uvloop")),
        Kind("http.server", "python -m http.server",
             ("{python}", "-m", "http.server", "--bind", "127.0.0.1", "--directory", "{root}", "{port}"),
             ("{python}", "--version")),
    )
}  # fmt: skip
