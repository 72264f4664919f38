"""flashpy: a static web server in the AMPED architecture of the Flash web server.

The names below are handed on lazily (PEP 562), because the helper processes import this package too: they
must start quickly and stay small, so nothing may pull asyncio or uvloop in behind their back.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flashpy.config.reading import load as load
    from flashpy.errors import ConfigError as ConfigError
    from flashpy.errors import FlashpyError as FlashpyError
    from flashpy.errors import StartError as StartError
    from flashpy.server import Server as Server
    from flashpy.server import background as background
    from flashpy.server import run as run
    from flashpy.settings import Config as Config

__version__ = "0.1.0"
__all__ = ["Config", "ConfigError", "FlashpyError", "Server", "StartError", "background", "load", "run"]

_HOME = {
    "Config": "flashpy.settings",
    "load": "flashpy.config.reading",
    "ConfigError": "flashpy.errors",
    "FlashpyError": "flashpy.errors",
    "StartError": "flashpy.errors",
    "Server": "flashpy.server",
    "background": "flashpy.server",
    "run": "flashpy.server",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'flashpy' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
