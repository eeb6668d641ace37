"""The test suite itself: tests that share a fixture run in one worker, which builds it once."""

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="there is one process")
def test_the_tests_of_a_file_run_in_one_worker(request):
    """Check the group that pytest-xdist appends to the name of each test; pytest 9.2 drops it."""
    assert request.node.nodeid.endswith("@tests/project/test_workers.py")
