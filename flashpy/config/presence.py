"""Files and directories that the configuration names, and that are not there."""

import os
from collections.abc import Iterator
from pathlib import Path

from flashpy.config.contradictions import Finding, pages_of
from flashpy.config.files import Keys
from flashpy.settings import Config, SiteSection


def absences(config: Config) -> Iterator[Finding]:
    """What a configuration names and the file system does not have."""
    for number, site in enumerate(config.all_sites):
        above = ("sites", str(number - 1)) if number else ("site",)
        for keys, why, error in (*_directories(site), *_pages(site), *_releases(site)):
            yield Finding((*above, *keys), why, error)
    for keys, path in (
        (("log", "access_file"), config.log.access_file),
        (("server", "pid_file"), config.server.pid_file),
    ):
        parent = os.path.dirname(path)
        if parent and not os.path.isdir(parent):
            yield Finding(keys, f"there is no directory {parent}.")


def file_at(site: SiteSection, path: bytes) -> bytes:
    """Where the file lies that a path means: beneath the root, or beneath what is mounted there."""
    for mount in sorted(site.mount, key=lambda mount: -len(mount.path)):
        prefix = mount.path.rstrip("/").encode()
        if path == prefix or path.startswith(prefix + b"/"):
            return os.fsencode(mount.root) + path[len(prefix) :]
    return os.fsencode(site.root) + path


def _directories(site: SiteSection) -> Iterator[Finding]:
    named: list[tuple[Keys, str]] = [
        (("root",), site.root),
        *((("allowed_roots",), root) for root in site.allowed_roots),
    ]
    for number, mount in enumerate(site.mount):
        keys = ("mount", str(number))
        named += [((*keys, "root"), mount.root), *(((*keys, "allowed_roots"), root) for root in mount.allowed_roots)]
    return (Finding(keys, f"there is no directory {root}.") for keys, root in named if not Path(root).is_dir())


def _pages(site: SiteSection) -> Iterator[Finding]:
    for keys, path in pages_of(site):
        if not os.path.isfile(place := file_at(site, path)):
            yield Finding(keys, f"there is no file {os.fsdecode(place)}.")


def _releases(site: SiteSection) -> Iterator[Finding]:
    root = os.path.abspath(site.root)
    if site.keep_releases and os.path.realpath(root) == root:
        yield Finding(
            ("keep_releases",), f"{root} is no symbolic link, so there is no release before the present.", error=False
        )
