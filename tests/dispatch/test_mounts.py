"""Devices from the table of mounts."""

import os
from pathlib import Path

from flashpy.dispatch.mounts import Places, parse

TABLE = rb"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
31 22 0:25 / /srv/www/nfs rw - nfs server:/export rw
32 31 0:26 / /srv/www/nfs/deep rw - nfs server:/deep rw
33 22 7:0 / /srv/www/with\040blank\134 rw - ext4 /dev/loop0 rw
34 22 7:1 / /srv/wwwx rw - ext4 /dev/loop1 rw
35 31 0:27 / /srv/www/nfs rw - nfs server:/above rw
not a line
"""


def test_the_longest_mount_point_counts() -> None:
    places = Places(b"/srv/www", 99, parse(TABLE))
    assert places.device_of(b"/") == 99
    assert places.device_of(b"/a/b") == 99
    assert places.device_of(b"/nfs") == os.makedev(0, 27)  # the last of two is on top
    assert places.device_of(b"/nfs/") == os.makedev(0, 27)
    assert places.device_of(b"/nfs/deep/x") == os.makedev(0, 26)
    assert places.device_of(b"/nfsx") == 99
    assert places.device_of(b"/with blank\\/x") == os.makedev(7, 0)


def test_the_root_of_everything() -> None:
    places = Places(b"/", 5, parse(TABLE))
    assert places.device_of(b"/srv/wwwx/file") == os.makedev(7, 1)
    assert places.device_of(b"/etc") == 5


def test_this_machines_own_table() -> None:
    mounts = parse(Path("/proc/self/mountinfo").read_bytes())
    assert mounts[b"/proc"] == os.stat("/proc").st_dev
