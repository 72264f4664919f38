"""The disk helpers: pathname translation and reading, which may wait for a disk.

Started by flashpy as ``python -I -S disk.py PACKAGE_DIRECTORY CONTROL_FD PADDING [ROOT...]``; with roots, each helper
may read beneath them only. Standard library only, no asyncio.
"""

import os
import socket
import sys
from functools import partial

sys.path.append(sys.argv[1])

from flashpy.job.confined import confine
from flashpy.job.programs import fork_server

roots = [os.fsencode(root) for root in sys.argv[4:]]
fork_server(socket.socket(fileno=int(sys.argv[2])), partial(confine, roots), "disk helper")
