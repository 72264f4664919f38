"""What goes through ``logging``, to standard error: how much of it, and in which form."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from flashpy.settings import LogSection


class JsonFormatter(logging.Formatter):
    """A JSON object a line; an exception is in it with its stack trace."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        entry = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "severity": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that it can be told from others."""


def set_up(section: LogSection) -> None:
    """Let the whole process log in this way from now on. For programs of flashpy's own: an embedded server does it
    never."""
    handler = _Handler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if section.format == "json" else text)
    root = logging.getLogger()
    for before in [known for known in root.handlers if isinstance(known, _Handler)]:
        root.removeHandler(before)
    root.addHandler(handler)
    root.setLevel(section.level.upper())
    logging.getLogger("asyncio").setLevel(max(logging.INFO, root.level))
