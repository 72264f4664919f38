"""``flashpy [DIR]``: the server, by its options."""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec
from click.core import ParameterSource

from flashpy import __version__
from flashpy.activation import Passed, by_number, take_passed
from flashpy.cli import presets
from flashpy.cli.banner import show
from flashpy.cli.browser import open_browser
from flashpy.config import Config, Overrides, load
from flashpy.http import head
from flashpy.logs import set_up
from flashpy.privileges import require_root, resolve
from flashpy.settings import ServerSection
from flashpy.supervisor.supervisor import Supervisor
from flashpy.supervisor.upgrade import Inherited, inherited

ADMIN = "127.0.0.1:9180"
"""The admin address, where none is named."""


class _Lines(click.types.StringParamType):
    """A text; of several in the environment each has a line of its own, since they may have blanks in them."""

    envvar_list_splitter = "\n"


def _header(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str] | None:
    headers = {}
    for value in values:
        name, colon, text = value.partition(":")
        if not colon or not name.strip():
            raise click.BadParameter(f"{value!r} is not of the form NAME:VALUE.")
        headers[name.strip()] = text.strip()
    return headers or None


def _version() -> str:
    """The version, and whether the compiled accelerator is in use."""
    return __version__ if head.__file__.endswith(".py") else f"{__version__} (compiled)"


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "FLASHPY", "max_content_width": 100},
    epilog="`flashpy check -c FILE` checks a configuration file. Each option can be given in the environment too, as "
    "FLASHPY_OPTION. Precedence: option, environment, file, default.",
)
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=str), envvar="FLASHPY_DIR")
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    envvar=["FLASHPY_PORT", "PORT"],
    help="Port to listen on; 0 takes a free one.  [default: 8000]",
)
@click.option(
    "-b",
    "--bind",
    multiple=True,
    metavar="ADDRESS",
    help="host:port, [ipv6]:port, unix:PATH, unix:@NAME, fd://N or fd://NAME instead of --host and --port; repeatable.",
)
@click.option(
    "-c",
    "--config",
    "file",
    type=click.Path(path_type=Path),
    envvar="FLASHPY_CONFIG",
    help="Configuration file (TOML).",
)
@click.option(
    "--index", multiple=True, metavar="NAME", help="Index file of directories; repeatable.  [default: index.html]"
)
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="NAME:VALUE",
    type=_Lines(),
    callback=_header,
    envvar="FLASHPY_HEADER",
    help="Field added to each answer; repeatable.",
)
@presets.options
@click.option(
    "--tls-certificate",
    type=click.Path(path_type=str),
    metavar="FILE",
    help="Speak TLS at these addresses, with this certificate and its chain (PEM).",
)
@click.option(
    "--tls-key", type=click.Path(path_type=str), metavar="FILE", help="Its key, if that is not in the same file."
)
@click.option("--open", "opened", is_flag=True, envvar="FLASHPY_OPEN", help="Open the browser.")
@click.option(
    "--access-log/--no-access-log", default=None, help="Write the access log to standard output.  [default: no]"
)
@click.option(
    "--access-logformat",
    metavar="FORM",
    help="combined, json, or a form with gunicorn's atoms such as '%(h)s %(r)s'.  [default: combined]",
)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="How much to log.  [default: info]"
)
@click.option(
    "--timeout-graceful-shutdown",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="How long requests under way may take at shutdown.  [default: 30]",
)
@click.option(
    "--architecture",
    type=click.Choice(["amped", "sped", "mp", "mt"]),
    help="Who waits for the disk: amped is for use; sped, mp and mt are for comparison.  [default: amped]",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="How many connections mp and mt serve at a time.  [default: 32]",
)
@click.option(
    "--user", metavar="USER", help="Who works, if root starts it: a name or a number.  [default: who starts it]"
)
@click.option("--group", metavar="GROUP", help="The group of --user.  [default: the user's own]")
@click.option(
    "--admin",
    is_flag=False,
    flag_value=ADMIN,
    metavar="[ADDRESS]",
    help="Show status and metrics at an address of its own, host:port or unix:PATH; without one at "
    f"{ADMIN}.  [default: nowhere]",
)
@click.version_option(_version(), prog_name="flashpy", allow_from_autoenv=False)
def serve(
    directory: str | None,
    host: str | None,
    port: int | None,
    bind: tuple[str, ...],
    file: Path | None,
    index: tuple[str, ...],
    headers: dict[str, str] | None,
    access_log: bool | None,
    access_logformat: str | None,
    log_level: str | None,
    timeout_graceful_shutdown: float | None,
    architecture: str | None,
    concurrency: int | None,
    user: str | None,
    group: str | None,
    tls_certificate: str | None,
    tls_key: str | None,
    admin: str | None,
    opened: bool,
    **wanted: bool,
) -> None:
    """Serve the files of a directory (by default the current one) over HTTP."""
    if tls_key and not tls_certificate:
        raise click.UsageError("Give --tls-certificate too: a key alone says nothing.")
    addresses = _addresses(host, port, bind, file)
    secure = bool(tls_certificate) or wanted["tls_self_signed"]
    given: dict[str, dict[str, Any]] = {
        "server": {
            "bind": [] if secure and addresses is not None else addresses,
            "timeout_graceful_shutdown": timeout_graceful_shutdown,
            "architecture": architecture,
            "concurrency": concurrency,
            "user": user,
            "group": group,
        },
        "site": {"root": directory, "index": list(index) or None, "headers": headers},
        "tls": {
            "bind": addresses if secure else None,
            "certificate": [{"file": tls_certificate, "key": tls_key or ""}] if tls_certificate else None,
        },
        "log": {"access": access_log, "access_format": access_logformat, "level": log_level},
        "admin": {"bind": [admin] if admin else None},
    }
    overrides = presets.lay_under({name: _given(values) for name, values in given.items()}, wanted)
    run(file, overrides, _show_and_open if opened else show)


def run(file: Path | None, overrides: Overrides, announce: Callable[[Supervisor], None] = show) -> NoReturn:
    """Serve by a file and what was given, until that is to end, and exit."""
    before = inherited()
    passed = before.passed if before else take_passed()
    announce = announce if before is None else show
    sys.exit(_serve(partial(_configuration, file, overrides, passed), announce, before, passed))


def _show_and_open(supervisor: Supervisor) -> None:
    show(supervisor)
    if why_not := open_browser(supervisor.urls):
        logging.getLogger("flashpy").warning(why_not)


def _configuration(file: Path | None, overrides: Overrides, passed: Sequence[Passed]) -> Config:
    """What is to be done, by the file as it is now and all else as it was given."""
    addresses = [f"fd://{fd}" for fd, _ in passed]
    fallbacks: Overrides = {"server": {"bind": addresses}} if passed else {}
    if overrides.get("tls"):  # options that ask for TLS, wherever it is to be spoken
        fallbacks = {"server": {"bind": []}, "tls": {"bind": addresses or list(ServerSection().bind)}}
    config = presets.in_time_for_reload(load(file, overrides, fallbacks))
    server, tls, admin = (
        msgspec.structs.replace(section, bind=tuple(by_number(section.bind, passed)))
        for section in (config.server, config.tls, config.admin)
    )
    if identity := resolve(config.server.user, config.server.group):
        require_root(identity)
    return msgspec.structs.replace(config, server=server, tls=tls, admin=admin)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _addresses(host: str | None, port: int | None, bind: tuple[str, ...], file: Path | None) -> list[str] | None:
    """--bind, or --host and --port; None where nothing was given and the file has the word."""
    optional = {name for name in ("bind", "host", "port") if _is_option(name)}
    if optional > {"bind"}:
        raise click.UsageError("Give either --bind or --host and --port.")
    if bind and (not optional or "bind" in optional):  # options come before the environment, whichever they are
        return list(bind)
    if host is None and port is None:
        return None
    if host is None or port is None:
        known_host, known_port = _first_address(file)
        host = known_host if host is None else host
        port = known_port if port is None else port
    return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]


def _is_option(name: str) -> bool:
    """Whether a parameter was given on the command line, rather than in the environment."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def _first_address(file: Path | None) -> tuple[str, int]:
    """The host and port of the file's first address, for the half that the options do not give."""
    host, _, port = load(file).addresses[0].rpartition(":")
    return (host.strip("[]"), int(port)) if port.isdecimal() else ("127.0.0.1", 8000)


def _serve(
    read: Callable[[], Config],
    announce: Callable[[Supervisor], None],
    before: Inherited | None,
    passed: Sequence[Passed],
) -> int:
    config = read()
    _open_standard_streams()
    set_up(config.log)
    for fd, name in passed:
        if f"fd://{fd}" not in (*config.addresses, *config.admin.bind):
            logging.getLogger("flashpy").warning(
                "Nobody is served on the socket %r that systemd passed; add fd://%s to server.bind or tls.bind.",
                name,
                name,
            )
    return Supervisor(config, read, announce, before, passed).run()


def _open_standard_streams() -> None:
    """Where a standard descriptor is closed, put /dev/null there: what is opened next would take its number, and get
    what is written to it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: this one
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
