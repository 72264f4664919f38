"""The configuration: ``load`` makes a ``Config`` of files, options and defaults."""

from flashpy.config.reading import Overrides, load
from flashpy.settings import Config

__all__ = ["Config", "Overrides", "load"]
