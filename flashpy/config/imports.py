"""What the settings name in other files: password files and keys. It is read where the configuration is, for a worker
may open no file."""

import logging
from pathlib import Path

import msgspec

from flashpy.access import htpasswd, signed
from flashpy.settings import AccessSection, Config, SiteSection

_log = logging.getLogger("flashpy.config")


def complete(config: Config) -> Config:
    """The configuration with the contents of the files that it names.

    Raises:
        ConfigError: one cannot be read or used.
    """
    return msgspec.structs.replace(
        config, site=_complete_site(config.site), sites=tuple(_complete_site(site) for site in config.sites)
    )


def _complete_site(site: SiteSection) -> SiteSection:
    return msgspec.structs.replace(site, access=tuple(_complete_access(access) for access in site.access))


def _complete_access(access: AccessSection) -> AccessSection:
    users, keys = dict(access.users), list(access.keys)
    if access.htpasswd:
        found = htpasswd.read(Path(access.htpasswd))
        users |= {user.decode(): hashed.decode() for user, hashed in found.hashes.items()}
        for warning in found.warnings:
            _log.warning("%s", warning)
    if access.key_file:
        keys += [key.decode() for key in signed.read_keys(Path(access.key_file))]
    return msgspec.structs.replace(access, users=users, keys=tuple(keys))
