"""The helpers for work that takes a processor's time: content codings and passwords.

Started by flashpy as ``python -I -S encode.py PACKAGE_DIRECTORY CONTROL_FD PADDING RIGHTS [DIRECTORY...]``; RIGHTS is
``confined`` (each helper may open no file) or ``free``, in the directories are the libraries that are installed. No
asyncio.
"""

import socket
import sys
from functools import partial

sys.path += [sys.argv[1], *sys.argv[5:]]

from flashpy.job.cpu import begin, import_libraries
from flashpy.job.programs import fork_server

import_libraries()
fork_server(
    socket.socket(fileno=int(sys.argv[2])), partial(begin, sys.argv[4] == "confined"), "encoding helper", niceness=10
)
