"""Tests of flashpy.cli."""
