"""Runs that are restored for a conversion."""

import os
import subprocess
import sys


def test_a_run_trained_on_two_devices_is_restored_on_one(runs):
    code = "import sys, jax; from pathlib import Path; "
    code += "from jaxrec.conversion.restore import restore_run; "
    code += "restore_run(Path(sys.argv[1])); print(len(jax.devices()))"
    done = subprocess.run(
        [sys.executable, "-c", code, runs["bow"]],
        env={**os.environ, "XLA_FLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "1\n", done.stderr
