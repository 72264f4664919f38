"""Starlette's static files over a directory, without routes or middleware around them."""

from __future__ import annotations

import os

from starlette.staticfiles import StaticFiles

app = StaticFiles(directory=os.environ["PEER_ROOT"], html=True)
