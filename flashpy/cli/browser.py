"""``--open``: a browser that shows what is served."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
_EVERYWHERE = re.compile(r"//(?:0\.0\.0\.0|\[::\]):")
_OPEN = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"


def open_browser(urls: Iterable[str]) -> str:
    """Have a browser show the first of the addresses that it can reach; why not, in a sentence, or nothing.

    In a process that nobody waits for: some browsers end when their window is closed (webbrowser).
    """
    url = next((url for url in urls if url.startswith("http")), None)
    if url is None:
        return "No browser is opened: it cannot reach a Unix socket."
    if not any(os.environ.get(name) for name in _DISPLAYS):
        return "No browser is opened: there is no display (DISPLAY, WAYLAND_DISPLAY or BROWSER)."
    command = [sys.executable, "-c", _OPEN, _EVERYWHERE.sub("//localhost:", url)]
    quiet = subprocess.DEVNULL
    subprocess.run(
        ["sh", "-c", '"$@" &', "sh", *command],
        stdin=quiet,
        stdout=quiet,
        stderr=quiet,
        start_new_session=True,
        check=False,
    )
    return ""
