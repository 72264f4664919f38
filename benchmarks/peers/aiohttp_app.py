"""aiohttp's static files over a directory, on uvloop; it knows no index files, so each gets a route of its own."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
from aiohttp import web


def index(file: Path) -> Callable[[web.Request], Awaitable[web.FileResponse]]:
    """A handler that answers with one index file."""

    async def answer(request: web.Request) -> web.FileResponse:
        return web.FileResponse(file)

    return answer


def application(root: Path) -> web.Application:
    """The application that serves the directory."""
    app = web.Application()
    for file in root.rglob("index.html"):
        app.router.add_get(f"/{file.parent.relative_to(root)}/".replace("/./", "/"), index(file))
    app.router.add_static("/", root)
    return app


if __name__ == "__main__":
    web.run_app(
        application(Path(sys.argv[1])), host="127.0.0.1", port=int(sys.argv[2]), access_log=None, print=None,
        backlog=8192, keepalive_timeout=75, loop=uvloop.new_event_loop(),
    )  # fmt: skip
