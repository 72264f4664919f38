"""The contexts that a configuration asks for."""

from flashpy.settings import Config
from flashpy.tls.contexts import Contexts
from flashpy.tls.material import read_all, read_authorities


def protocols(config: Config) -> tuple[str, ...]:
    """What is offered in a handshake (ALPN, RFC 7301), the most wanted first."""
    return ("h2", "http/1.1") if config.server.http2 else ("http/1.1",)


def contexts_for(config: Config, before: Contexts | None = None) -> Contexts | None:
    """The contexts for the addresses where TLS is spoken; None where there are none. Those from ``before``, where they
    are as wanted but for the certificates, which are read anew: then sessions from before can be resumed.

    Raises:
        ConfigError: a file cannot be read or used. What was there before is as it was.
    """
    settings = config.tls
    if not settings.bind:
        return None
    authorities = read_authorities(settings)
    offered = protocols(config)
    if before is None or not before.is_made_of(settings, offered, authorities):
        return Contexts(settings, read_all(settings), offered, authorities)
    if not settings.self_signed:
        before.renew(read_all(settings))
    return before
