"""``flashpy check``: whether a configuration can be used."""

from pathlib import Path

import click

from flashpy.config import load
from flashpy.errors import ConfigError


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-c", "--config", "file", type=click.Path(path_type=Path), required=True, help="Configuration file (TOML)."
)
def check(file: Path) -> None:
    """Check a configuration file and say what is wrong with it."""
    config = load(file)
    if not Path(config.site.root).is_dir():
        raise ConfigError(f"{file}: site.root: there is no directory {config.site.root}.")
    click.echo(f"{file}: good.")
