"""``flashpy check``: whether a configuration can be used."""

from datetime import UTC, datetime
from pathlib import Path

import click

from flashpy.config.certificates import certificates
from flashpy.config.check import sentence
from flashpy.config.contradictions import contradictions
from flashpy.config.presence import absences
from flashpy.config.reading import load_with_places
from flashpy.errors import ConfigError


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-c", "--config", "file", type=click.Path(path_type=Path), required=True, help="Configuration file (TOML)."
)
@click.option("--strict", is_flag=True, help="Take warnings for errors.")
def check(file: Path, strict: bool) -> None:
    """Check a configuration file and say what is wrong with it."""
    config, place = load_with_places(file)
    errors = []
    for finding in (*contradictions(config), *absences(config), *certificates(config, datetime.now(UTC))):
        if finding.error or strict:
            errors.append(sentence(finding, place))
        else:
            click.echo(f"flashpy: warning: {sentence(finding, place)}", err=True)
    for error in errors[:-1]:
        click.echo(f"flashpy: {error}", err=True)
    if errors:
        raise ConfigError(errors[-1])
    click.echo(f"{file}: good.")
