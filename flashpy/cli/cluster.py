"""``flashpy front`` and ``flashpy node``: the parts of a cluster; ``flashpy drain``: taking a node out of it."""

import http.client
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import click
import msgspec

from flashpy.cli.asking import Asking, Place
from flashpy.cli.serve import ADMIN, run
from flashpy.config import Overrides, load
from flashpy.errors import StartError

_SETTINGS: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    "auto_envvar_prefix": "FLASHPY",
    "max_content_width": 100,
}
_FRONT: Overrides = {"cluster": {"role": "front"}}
_link: socket.socket | None = None
"""To the process that speaks with etcd: kept for as long as this one lives."""
_file = click.option(
    "-c",
    "--config",
    "file",
    type=click.Path(path_type=Path),
    required=True,
    envvar="FLASHPY_CONFIG",
    help="Configuration file (TOML) of the cluster's front-end.",
)
_bind = click.option(
    "-b",
    "--bind",
    multiple=True,
    metavar="ADDRESS",
    help="Where clients are heard, instead of server.bind; repeatable.",
)
_admin = click.option(
    "--admin",
    is_flag=False,
    flag_value=ADMIN,
    metavar="[ADDRESS]",
    help=f"Show status and metrics at an address of its own; without one at {ADMIN}.",
)


def _overrides(role: str, bind: tuple[str, ...], admin: str | None, **cluster: str) -> dict[str, dict[str, Any]]:
    given: dict[str, dict[str, Any]] = {"cluster": {"role": role, **cluster}}
    if bind:
        given["server"] = {"bind": list(bind)}
    if admin:
        given["admin"] = {"bind": [admin]}
    return given


@click.command(context_settings=_SETTINGS)
@_file
@_bind
@_admin
@click.option("--explain", metavar="URL", help="Ask the one that runs where it would send a request for this, and why.")
def front(file: Path, bind: tuple[str, ...], admin: str | None, explain: str | None) -> None:
    """Be the front-end of a cluster: accept connections, and hand each request to the node that is likely to have what
    it asks for in memory."""
    if explain is None:
        overrides = _overrides("front", bind, admin)
        _join(file, overrides)
        run(file, overrides)
    parts = urlsplit(explain)
    target = parts.path or "/"
    found = msgspec.json.decode(_ask(file, f"/explain?target={quote(target)}"))
    click.echo(f"{found['target']} goes to {found['chosen'] or 'no node'}: {found['why']}")
    for name, node in found["nodes"].items():
        click.echo(f"  {name:<12} {node['standing']:<9} load {node['load']}")


@click.command(context_settings=_SETTINGS)
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=str))
@click.option(
    "-c",
    "--config",
    "file",
    type=click.Path(path_type=Path),
    envvar="FLASHPY_CONFIG",
    help="Configuration file (TOML).",
)
@click.option("--listen", metavar="PATH", help="Unix socket at which a front-end of this host hands connections over.")
@_bind
@_admin
def node(
    directory: str | None, file: Path | None, listen: str | None, bind: tuple[str, ...], admin: str | None
) -> None:
    """Be a node of a cluster: a server that goes on with connections which a front-end hands over. At the addresses of
    server.bind it is relayed to, from other hosts too; with --listen alone it has none."""
    overrides = _overrides("node", bind, admin, **({"listen": listen} if listen else {}))
    if directory is not None:
        overrides["site"] = {"root": directory}
    if listen and not bind and file is None:
        overrides["server"] = {"bind": []}
    _join(file, overrides)
    run(file, overrides)


def _join(file: Path | None, overrides: Overrides) -> None:
    """Where the configuration names an etcd: take part by it. A front-end stands by until it is the active one."""
    cluster = load(file, overrides).cluster
    if not cluster.etcd.endpoints:
        return
    from flashpy.cluster.etcd import starting

    global _link
    _link = starting.start(cluster)
    if cluster.role == "front":
        click.echo("Standing by until this front-end is the active one.", err=True)
        starting.wait_until_active(_link)


@click.command(context_settings=_SETTINGS)
@click.argument("name", metavar="NODE")
@_file
@click.option("--undo", is_flag=True, help="Let it have its share again.")
def drain(name: str, file: Path, undo: bool) -> None:
    """Let a node of a cluster get nothing new, so that it can be stopped when it has answered what it has."""
    click.echo(_ask(file, f"/{'undrain' if undo else 'drain'}?node={quote(name)}").decode().rstrip())


def _ask(file: Path, target: str) -> bytes:
    """What the front-end that runs by this file answers at its control socket."""
    path = load(file, _FRONT).cluster.control
    if not path:
        raise click.UsageError(f"{file}: cluster.control: set it, and start the front-end with it.")
    try:
        asking = Asking(Place(path))
        asking.request("POST", target)
        answer = asking.getresponse()
        said = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise StartError(f"The front-end does not answer at {path}: {error}.") from None
    if answer.status != 200:
        raise click.UsageError(said.decode(errors="replace").strip())
    return said
