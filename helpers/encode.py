"""The helpers for work that takes a processor's time: content codings and passwords.

Started by flashpy as ``python -I -S encode.py PACKAGE_DIRECTORY CONTROL_FD PADDING RIGHTS CODED BYTES [DIRECTORY...]``;
RIGHTS is ``confined`` (each helper may open no file but in CODED) or ``free``; CODED is the directory where coded forms
are kept, in so many BYTES, or empty; in the others are the libraries that are installed. No asyncio.
"""

import os
import socket
import sys

sys.path += [sys.argv[1], *sys.argv[7:]]

from flashpy.job.cpu import Helper, import_libraries
from flashpy.job.programs import fork_server

import_libraries()
helper = Helper(sys.argv[4] == "confined", os.fsencode(sys.argv[5]), int(sys.argv[6]))
control = socket.socket(fileno=int(sys.argv[2]))
fork_server(control, helper.begin, "encoding helper", niceness=10, after=helper.after)
