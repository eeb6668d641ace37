"""Sharding: whatever the mesh, the same is learned."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_on_eight_devices():
    """In a process of its own: the devices of this one were made when it began."""
    words = [sys.executable, "-m", "pytest", "-n", "0", "-q", "tests/eight_devices.py"]
    left = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    env = {**left, "JAXREC_TEST_DEVICES": "8"}
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
