"""The command line; ``main`` is where it begins."""

from flashpy.cli.command import main

__all__ = ["main"]
