"""The log helper: it writes the access log's lines, which may wait for a disk or for a reader.

Started by flashpy as ``python -I -S log.py PACKAGE_DIRECTORY CONTROL_FD PADDING [confined]``. Standard library only, no
asyncio.
"""

import socket
import sys

sys.path.append(sys.argv[1])

from flashpy.job.logwriter import write_log

write_log(socket.socket(fileno=int(sys.argv[2])), "confined" in sys.argv[4:])
