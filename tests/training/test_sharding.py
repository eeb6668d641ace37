"""Sharded training: the result does not depend on the mesh."""

import os
import subprocess
import sys

import pytest

from tests import ROOT


@pytest.mark.slow
def test_on_eight_devices():
    """Run the tests in a new process: the devices of this one are fixed at its start."""
    words = [sys.executable, "-m", "pytest", "-n", "0", "-q", "tests/training/eight_devices.py"]
    inherited = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    env = {**inherited, "JAXREC_TEST_DEVICES": "8"}
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
