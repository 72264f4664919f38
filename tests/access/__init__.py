"""Tests of flashpy.access."""
