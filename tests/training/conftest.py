"""Fixtures of the tests of training."""

import pytest

from jaxrec.runs.directory import RunDirectory
from tests.training.chain import SHORT, fit
from tests.training.shop_logs import PLAIN, train_yesterday


@pytest.fixture(scope="module")
def uninterrupted_run(tmp_path_factory):
    """Return the folder and the result of an uninterrupted run; tests must not modify it."""
    folder = tmp_path_factory.mktemp("whole")
    trained, _ = fit(folder, SHORT)
    return folder, trained


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> RunDirectory:
    """Return a run on yesterday's log, without features; tests must not change it."""
    return train_yesterday(tmp_path_factory.mktemp("plain") / "run", PLAIN)
