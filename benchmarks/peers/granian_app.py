"""What granian calls for a path that its own static files do not have."""

from __future__ import annotations

from typing import Any


async def app(scope: Any, protocol: Any) -> None:
    """Answer that there is no such file (RSGI)."""
    protocol.response_str(404, [("content-type", "text/plain")], "Not found\n")
