"""Tests of flashpy.cache."""
