"""Tests of the host, without a board."""
