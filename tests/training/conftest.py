"""Fixtures of the tests of training."""

import pytest

from tests.training.chain import SHORT, fit


@pytest.fixture(scope="module")
def uninterrupted_run(tmp_path_factory):
    """Return the folder and the result of an uninterrupted run; tests must not modify it."""
    folder = tmp_path_factory.mktemp("whole")
    trained, _ = fit(folder, SHORT)
    return folder, trained
