"""The watching helper: it tells the server when a file of the site changes (``flashpy --reload``).

Started by flashpy as ``python -I -S watch.py PACKAGE_DIRECTORY CONTROL_FD PADDING RIGHTS COUNT ROOT... DIRECTORY...``;
RIGHTS is ``confined`` (it may read beneath the roots only) or ``free``, COUNT the number of roots; in the directories
are the libraries that are installed.
"""

import socket
import sys

sys.path += [sys.argv[1], *sys.argv[6 + int(sys.argv[5]) :]]

from flashpy.job.watch import watch

watch(socket.socket(fileno=int(sys.argv[2])), sys.argv[6 : 6 + int(sys.argv[5])], sys.argv[4] == "confined")
