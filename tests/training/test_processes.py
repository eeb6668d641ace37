"""Training in several processes, which equals training in one."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jaxrec.errors import UserError
from jaxrec.runs.directory import RunDirectory
from jaxrec.training import processes
from tests import ROOT
from tests.exports import run_train

SMALL = [
    *("--encoder=bow", "--synthetic.users=300", "--synthetic.items=61", "--embedding-dim=8"),
    *("--hidden-units=8", "--batch-size=16", "--loss=sampled-softmax", "--negatives=16"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(folder: Path, *flags: str, number: int, port: int) -> subprocess.Popen[str]:
    """Start one of two processes that have two devices each."""
    process_flags = (
        f"--coordinator=127.0.0.1:{port}",
        "--num-processes=2",
        f"--process-id={number}",
    )
    return subprocess.Popen(
        [sys.executable, str(ROOT / "experiments" / "run.py"), *SMALL, *flags, *process_flags],
        cwd=folder,
        env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_run_of_two_killed_processes_resumes_in_one(tmp_path):
    """Both processes shard tables and batches; a single one resumes, on another mesh."""
    epochs = 8
    port = free_port()
    flags = (f"--epochs={epochs}", f"--patience={epochs}", "--run-dir=two")
    pair = [start(tmp_path, *flags, "--model-shards=2", number=n, port=port) for n in (0, 1)]
    metrics, waited = tmp_path / "two" / "metrics.jsonl", time.monotonic()
    while not metrics.exists() or len(metrics.read_text().splitlines()) < 2:
        assert all(each.poll() is None for each in pair), pair[0].communicate()[1][-2000:]
        assert time.monotonic() - waited < 120
        time.sleep(0.05)
    pair[1].send_signal(signal.SIGKILL)
    # The other process would notice that after a while and exit by itself.
    pair[0].send_signal(signal.SIGKILL)
    for each in pair:
        each.communicate()
    begun = len(metrics.read_text().splitlines())
    assert 2 <= begun < epochs

    resumed = run_train(*SMALL, *flags, "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    single_process = run_train(*SMALL, *flags[:2], "--run-dir=one", cwd=tmp_path)
    assert single_process.returncode == 0, single_process.stderr
    directories = [RunDirectory(tmp_path / name) for name in ("two", "one")]
    two_processes, one_process = (each.metrics(until_step=10**9) for each in directories)
    assert len(two_processes) == len(one_process) == epochs
    for one, other in zip(two_processes, one_process, strict=True):
        np.testing.assert_allclose(one["loss"], other["loss"], rtol=2e-3)
        for name, score in one["validation"].items():
            np.testing.assert_allclose(score, other["validation"][name], atol=0.02)


@pytest.mark.slow
def test_processes_of_different_configurations_are_refused(tmp_path):
    port = free_port()
    pair = [
        start(tmp_path, "--run-dir=run", f"--learning-rate={rate}", number=number, port=port)
        for number, rate in enumerate((0.003, 0.004))
    ]
    for each in pair:
        _, error = each.communicate(timeout=120)
        assert each.returncode == 2
        assert (
            "error: process 1 has other flags or other data than process 0; give the same" in error
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_an_error_of_the_leader_ends_all_processes(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").write_text("precious")
    port = free_port()
    pair = [start(tmp_path, "--run-dir=run", number=number, port=port) for number in (0, 1)]
    messages = (
        "--run-dir=run contains other files and no run",
        "process 0 failed; its error message has the reason",
    )
    for each, message in zip(pair, messages, strict=True):
        _, error = each.communicate(timeout=120)
        assert (each.returncode, message in error) == (2, True), error


@pytest.mark.slow
def test_an_unreachable_coordinator_is_one_line(tmp_path):
    code = "import sys, jaxrec.training.processes as each; each.TIMEOUT_SECONDS = 2\n"
    code += "from jaxrec.cli.train import main\nsys.exit(main())"
    flags = (f"--coordinator=127.0.0.1:{free_port()}", "--num-processes=2", "--process-id=1")
    done = subprocess.run(
        [sys.executable, "-c", code, *SMALL, *flags],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: --coordinator=127.0.0.1:")
    assert "no process listens there (Connection refused); start process 0" in done.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((None, 0, None), "--process-id and --num-processes need --coordinator"),
        (("127.0.0.1:1", 2, 2), "needs --num-processes and --process-id, from 0"),
        (("127.0.0.1:1", None, 2), "needs --num-processes and --process-id"),
        (("nowhere", 1, 2), "--coordinator=nowhere is not HOST:PORT, as 10"),
        (("auto", None, None), "--coordinator=auto: the processes cannot connect"),
    ],
)
def test_incomplete_process_flags_are_refused(flags, message):
    with pytest.raises(UserError, match=message):
        processes.initialize(*flags)


@pytest.mark.parametrize("flag", ["--model-shards=3", "--batch-size=7"])
def test_an_invalid_mesh_keeps_the_existing_run(tmp_path, flag):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.toml").write_text("{}")
    done = run_train(*SMALL, "--run-dir=run", "--overwrite", flag, cwd=tmp_path)
    assert (done.returncode, done.stderr.split("=")[0]) == (2, f"error: {flag.split('=')[0]}")
    assert (tmp_path / "run" / "config.toml").exists()


def test_a_single_process_needs_no_coordinator():
    processes.initialize(None, None, None)
    assert processes.is_leader() and processes.from_leader(0.5) == 0.5
