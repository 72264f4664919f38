"""What is said at the start."""

import logging
import sys

import click

from flashpy import __version__
from flashpy.config import Config
from flashpy.supervisor.supervisor import Supervisor


def _workers(config: Config) -> str:
    """Who waits for the disk."""
    helpers, architecture = config.helpers, config.server.architecture
    if config.cluster.role == "front":
        return f"the policy {config.cluster.policy.name}"
    if architecture == "amped":
        return f"{helpers.min} to {helpers.max} helpers"
    who = {"mp": f"{config.server.concurrency} processes", "mt": f"{config.server.concurrency} threads"}
    return f"{who.get(architecture, 'no helpers')} ({architecture}, for comparison)"


def show(supervisor: Supervisor) -> None:
    """What is served, where, by how many: a picture on a terminal, a line otherwise."""
    config = supervisor.config
    subject = config.subject
    workers = _workers(config)
    where = "  ".join(supervisor.urls) or f"unix:{config.cluster.listen}"
    if sys.stderr.isatty():
        bold, dim, end = "\x1b[1m", "\x1b[2m", "\x1b[0m"
        click.echo(
            f"\n  {bold}flashpy {__version__}{end}  serves {bold}{subject}{end}\n"
            f"\n  at          {bold}{where}{end}"
            f"\n  works with  {workers}"
            f"\n  access log  {'on' if config.log.access else 'off (--access-log)'}"
            f"\n  sandbox     {supervisor.sandbox}"
            f"\n\n  {dim}Ctrl-C ends it.{end}\n",
            err=True,
        )
    else:
        logging.getLogger("flashpy").info("Serving %s at %s with %s, %s.", subject, where, workers, supervisor.sandbox)
