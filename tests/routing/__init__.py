"""Tests of flashpy.routing."""
