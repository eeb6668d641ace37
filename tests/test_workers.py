"""The suite itself: what shares a fixture runs in one worker, so that it is made once."""

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="there is one process")
def test_the_tests_of_a_file_stay_together(request):
    """By the group that pytest-xdist appends to the name of each; pytest 9.2 drops it."""
    assert request.node.nodeid.endswith("@test_workers.py")
