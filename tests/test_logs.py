"""How logging logs."""

import json
import subprocess
import sys

from tests.running import PATIENCE, clean_environment

_PROGRAM = """
import logging, sys
from flashpy.settings import LogSection
from flashpy.logs import set_up

set_up(LogSection(format=sys.argv[1], level="info"))
log = logging.getLogger("flashpy.test")
log.debug("unseen")
log.info("%s lines\\nof 'text'", 2)
try:
    1 / 0
except ZeroDivisionError:
    log.exception("It failed.")
"""


def logged(form: str) -> list[str]:
    """What a program of its own logs in this form."""
    command = [sys.executable, "-c", _PROGRAM, form]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, env=clean_environment(), check=True
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_text() -> None:
    lines = logged("text")
    assert lines[0].endswith(" INFO flashpy.test: 2 lines")
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_json() -> None:
    """An object a line, whatever is in the message; an exception with its trace."""
    first, second = map(json.loads, logged("json"))
    assert first.keys() == {"timestamp", "severity", "logger", "message"}
    assert (first["severity"], first["logger"], first["message"]) == ("INFO", "flashpy.test", "2 lines\nof 'text'")
    assert first["timestamp"].endswith("+00:00")
    assert (second["severity"], second["message"]) == ("ERROR", "It failed.")
    assert second["exception"].startswith("Traceback") and second["exception"].endswith("division by zero")
