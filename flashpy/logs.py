"""What goes through ``logging``, to standard error: how much of it, and in which form."""

import json
import logging
import sys
from datetime import UTC, datetime

from flashpy.config import LogSection


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


def set_up(section: LogSection) -> None:
    """Let the whole process log in this way. For programs of flashpy's own: an embedded server does it never."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if section.format == "json" else text)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(section.level.upper())
    logging.getLogger("asyncio").setLevel(max(logging.INFO, root.level))
