"""The disk helpers: pathname translation and reading, which may wait for a disk.

Started by flashpy as ``python -I -S disk.py PACKAGE_DIRECTORY CONTROL_FD PADDING``. Standard library only, no asyncio.
"""

import socket
import sys

sys.path.append(sys.argv[1])

from flashpy.job.perform import perform
from flashpy.job.programs import fork_server

fork_server(socket.socket(fileno=int(sys.argv[2])), perform, "disk helper")
