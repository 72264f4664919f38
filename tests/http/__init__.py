"""Tests of flashpy.http."""
