"""Tests of flashpy.resource."""
