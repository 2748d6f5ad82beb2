"""Benches that share a build must run in one worker of pytest-xdist; others would wait for the compiler."""

import os

import pytest

from sim.conftest import CocotbTest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process runs all tests")
def test_xdist_has_the_groups(request):
    if not request.config.option.loadgroup:
        pytest.skip("not with --dist loadgroup, which the Makefile gives")
    benches = [item for item in request.session.items if isinstance(item, CocotbTest)]
    ungrouped = [item.nodeid for item in benches if "@" not in item.nodeid]
    assert not ungrouped, "xdist marks a group in the node's name; this pytest doesn't let it"
