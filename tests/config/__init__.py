"""Tests of flashpy.config."""
