"""``flashpy lard-haproxy``: HAProxy forwards requests, LARD says where."""

import asyncio
import os
import signal
from contextlib import closing, suppress
from pathlib import Path

import click
import uvloop

from flashpy import logs
from flashpy.addresses import Inherited, Tcp, Unix, parse
from flashpy.cluster.choosing import Parameters
from flashpy.cluster.haproxy.decisions import Decisions
from flashpy.cluster.haproxy.driver import Driver, log_socket
from flashpy.cluster.haproxy.template import TABLE, template
from flashpy.cluster.policy import policy
from flashpy.settings import LogSection

ADMIN = "/run/haproxy/admin.sock"
LOG = "unix:/run/haproxy/lard.sock"


def _address(context: click.Context, parameter: click.Parameter, value: str) -> Tcp | Unix:
    try:
        address = parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    is_path = isinstance(address, Unix) and not address.path.startswith("\0")
    if not is_path and not (isinstance(address, Tcp) and address.host and address.port):
        raise click.BadParameter(f"{value!r} is no address that HAProxy logs to; write unix:PATH or host:port.")
    assert not isinstance(address, Inherited)
    return address


def _nodes(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            address = parse(value)
        except ValueError:
            address = None
        if not isinstance(address, Tcp) or not address.host or not address.port:
            raise click.BadParameter(f"{value!r} is no node; write host:port.")
    return values


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("nodes", nargs=-1, metavar="[NODE]...", callback=_nodes)
@click.option("--socket", "admin", default=ADMIN, show_default=True, metavar="PATH", help="HAProxy's stats socket.")
@click.option(
    "--log", default=LOG, show_default=True, metavar="ADDRESS", callback=_address, help="Where HAProxy logs to."
)
@click.option("--backend", default=TABLE, show_default=True, metavar="NAME", help="HAProxy's backend with the nodes.")
@click.option(
    "--policy", "name", type=click.Choice(["lard", "lard-r"]), default="lard", show_default=True, help="Who decides."
)
@click.option("--t-low", type=click.FloatRange(1), default=25, show_default=True, help="Load of a node that idles.")
@click.option("--t-high", type=click.FloatRange(1), default=65, show_default=True, help="Load of one that has much.")
@click.option(
    "--print-config", is_flag=True, help="Print a configuration of HAProxy for the nodes (host:port), and end."
)
@click.option("--listen", default=":80", show_default=True, metavar="ADDRESS", help="Where HAProxy listens, in that.")
def lard_haproxy(
    nodes: tuple[str, ...],
    admin: str,
    log: Tcp | Unix,
    backend: str,
    name: str,
    t_low: float,
    t_high: float,
    print_config: bool,
    listen: str,
) -> None:
    """Tell a running HAProxy which node each target goes to, by LARD.

    Its configuration says what it logs, and has the table that is filled: begin with that of --print-config.
    """
    if print_config:
        if not nodes:
            raise click.UsageError("Name the nodes, as host:port each.")
        click.echo(template(nodes, listen, os.path.abspath(admin), _in_haproxy(log)), nl=False)
        return
    if nodes:
        raise click.UsageError("HAProxy itself says which nodes it has; they are for --print-config.")
    if not backend.isascii() or not backend.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise click.UsageError(f"{backend!r} is no name of a backend.")
    logs.set_up(LogSection())
    decisions = Decisions(policy(name, Parameters(t_low=t_low, t_high=t_high)))
    with closing(log_socket(log)) as sock:
        try:
            uvloop.run(_drive(Driver(admin, sock, backend, decisions)))
        finally:
            if isinstance(log, Unix):
                Path(log.path).unlink(missing_ok=True)


def _in_haproxy(log: Tcp | Unix) -> str:
    return os.path.abspath(log.path) if isinstance(log, Unix) else f"{log.host}:{log.port}"


async def _drive(driver: Driver) -> None:
    """Until a signal ends it."""
    task = asyncio.ensure_future(driver.run(lambda pid: click.echo(f"Driving HAProxy, process {pid}.", err=True)))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task
