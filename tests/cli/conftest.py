"""Fixtures of the tests of commands."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def copied_run(runs, models, tmp_path) -> Path:
    """Return a copy of a run and its export that a test may modify."""
    return Path(shutil.copytree(runs["rnn"], tmp_path / "runs" / "rnn"))
