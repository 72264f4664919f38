"""WhiteNoise over a directory: it looks at all files when it starts, and at none of their metadata later."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from whitenoise import WhiteNoise


def not_found(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer that there is no such file (WSGI)."""
    start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "10")])
    return [b"Not found\n"]


app = WhiteNoise(not_found, root=os.environ["PEER_ROOT"], index_file=True, autorefresh=False)
