"""Strict-Transport-Security (RFC 6797): a site that is never to be asked for but by HTTPS says so."""

from msgspec.structs import replace

from flashpy.settings import Config, SiteSection

_NAME = "Strict-Transport-Security"
_YEAR = "max-age=31536000"


def with_hsts(config: Config) -> Config:
    """Among the fields of ``site.security_headers``, where all that is served is served by TLS: a browser that has read
    it once asks in no other way. Not with a certificate that nobody trusts, for then it could not ask at all."""
    tls = config.tls
    only = bool(tls.bind) and (tls.https_redirect or not config.server.bind)
    if not only or tls.self_signed:
        return config
    return replace(config, site=_with_field(config.site), sites=tuple(map(_with_field, config.sites)))


def _with_field(site: SiteSection) -> SiteSection:
    if not site.security_headers or any(name.lower() == _NAME.lower() for name in site.headers):
        return site
    return replace(site, headers={_NAME: _YEAR, **site.headers})
