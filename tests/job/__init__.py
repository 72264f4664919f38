"""Tests of flashpy.job."""
