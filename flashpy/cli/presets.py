"""Presets: options that stand for some settings together."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
from msgspec.structs import replace

from flashpy.config import Config, Overrides

F = TypeVar("F", bound=Callable[..., Any])

MOMENT = 0.05
"""Seconds for which a file is believed to be as it was, while somebody works on it."""

_HELP = {
    "spa": "A single-page application: /index.html answers navigations to what is no file.",
    "listing": "List directories that have no index.",
    "cors": "Let every site's scripts read the answers.",
    "no_cache": "For development: nothing is kept by browsers, and changes are seen at once.",
    "reload": "For development: pages load themselves again when a file has changed.",
    "tls_self_signed": "For development: speak TLS with a certificate for this machine that nobody trusts.",
    "security_headers": "Add the usual fields: nosniff, frame-ancestors 'self', a Referrer-Policy.",
}

SETTINGS: Mapping[str, Overrides] = {
    "spa": {"site": {"fallback": "/index.html"}},
    "listing": {"site": {"listing": True}},
    "cors": {"site": {"cors": {"origins": ["*"]}}},
    "no_cache": {
        "site": {"cache_control": "no-store", "hashed_names": False},
        "cache": {"valid": MOMENT, "negative_valid": MOMENT},
    },
    "reload": {"server": {"reload": True}},
    "tls_self_signed": {"tls": {"self_signed": True}},
    "security_headers": {"site": {"security_headers": True}},
}
"""What each of them sets."""


_SOON = 0.001


def in_time_for_reload(config: Config) -> Config:
    """With ``server.reload``, nothing is believed to be as it was: what is loaded again is what is there."""
    if not config.server.reload:
        return config
    return replace(config, cache=replace(config.cache, valid=_SOON, negative_valid=_SOON))


def options(command: F) -> F:
    """Give a command an option for each preset; it takes them as ``presets``."""
    for name in reversed(_HELP):
        command = click.option(f"--{name.replace('_', '-')}", name, is_flag=True, help=_HELP[name])(command)
    return command


def lay_under(given: Mapping[str, Mapping[str, Any]], presets: Mapping[str, bool]) -> dict[str, dict[str, Any]]:
    """The settings of the presets that are wanted, and over them those that were given one by one."""
    settings: dict[str, dict[str, Any]] = {}
    layers = [SETTINGS[name] for name, wanted in presets.items() if wanted]
    for layer in (*layers, given):
        for section, values in layer.items():
            settings.setdefault(section, {}).update(values)
    return settings
