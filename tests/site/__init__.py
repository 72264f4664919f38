"""Tests of flashpy.site."""
