"""What is wrong with settings about clients, their limits, and the proxies before them."""

from collections.abc import Callable, Iterator

from flashpy.access.networks import Networks
from flashpy.config.files import Keys, dotted
from flashpy.errors import ConfigError
from flashpy.settings import Config

_EVENT_DRIVEN = ("amped", "sped")
_BY_THE_LOOP = (
    *(("server", "proxy_protocol"), ("server", "trusted_proxies")),
    *(("limits", "connections_per_client"), ("limits", "requests_per_second_per_client")),
    ("limits", "bandwidth_per_connection"),
)
"""Keys that take an event loop, which sees all connections."""


def check_clients(config: Config, place: Callable[[Keys], str]) -> None:
    """What a type cannot say.

    Raises:
        ConfigError: a setting cannot be used.
    """
    for keys, why in _findings(config):
        raise ConfigError(f"{place(keys)}: {dotted(keys)}: {why}")


def _findings(config: Config) -> Iterator[tuple[Keys, str]]:
    server, limits = config.server, config.limits
    if server.architecture not in _EVENT_DRIVEN:
        for section, key in _BY_THE_LOOP:
            if getattr(getattr(config, section), key):
                yield (section, key), f"it takes the architecture amped or sped, not {server.architecture}."
    try:
        Networks(allow=server.trusted_proxies)
    except ValueError as error:
        yield ("server", "trusted_proxies"), str(error)
    if not isinstance(server.proxy_protocol, bool):
        for address in server.proxy_protocol:
            if address not in config.addresses:
                yield ("server", "proxy_protocol"), f"{address!r} is none of the addresses of server.bind and tls.bind."
    if server.proxy_protocol and not server.trusted_proxies:
        yield ("server", "proxy_protocol"), "it takes server.trusted_proxies, the networks of those who may speak it."
    if 0 < limits.bandwidth_per_connection <= limits.min_send_rate:
        yield (
            ("limits", "bandwidth_per_connection"),
            "it must be above limits.min_send_rate, or who is sent so little would be given up.",
        )
