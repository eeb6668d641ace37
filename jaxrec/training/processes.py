"""Processes: several machines train one model, each with devices of its own.

All of them read the log, work on their parts of each batch, and hold the same state or their shards
of it. The first one, the leader, alone measures, decides and writes.
"""

import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxrec.config.experiment import Config
from jaxrec.errors import UserError

# Let JAX find the others itself, as it can under Slurm, on Kubernetes and on TPUs.
AUTO = "auto"

# How long a process is waited for: at the beginning, in between and at the end.
PATIENCE_SECONDS = 30


def join(coordinator: str | None, process_id: int | None, num_processes: int | None) -> None:
    """Find the other processes, before JAX is asked for a device.

    Args:
        coordinator: HOST:PORT of the first process, which listens there; AUTO; None: there is no
            other process.
        process_id: which one this is, from 0 ...
        num_processes: ... and how many there are.

    Raises:
        UserError: they are not told, or the first is not there.
    """
    told = (process_id, num_processes)
    if coordinator is None:
        if told != (None, None):
            raise UserError("--process-id and --num-processes need --coordinator=HOST:PORT")
        return
    if coordinator == AUTO:
        _initialize(coordinator)
        return
    if process_id is None or num_processes is None or not 0 <= process_id < num_processes:
        raise UserError(
            f"--coordinator={coordinator} needs --num-processes and --process-id, which is 0 in "
            "the first of them, 1 in the next; or give --coordinator=auto under Slurm or Kubernetes"
        )
    if process_id > 0:
        _wait_for(coordinator)
    _initialize(
        coordinator,
        coordinator_address=coordinator,
        num_processes=num_processes,
        process_id=process_id,
        # Not on every address of this machine.
        coordinator_bind_address=coordinator,
    )


def _wait_for(coordinator: str) -> None:
    """Wait until the first process listens: JAX would end this one without a word of ours."""
    host, _, port = coordinator.rpartition(":")
    if not (host and port.isdecimal()):
        raise UserError(f"--coordinator={coordinator} is no HOST:PORT, as 10.0.0.1:9876")
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError as error:
            if time.monotonic() > until:
                raise UserError(
                    f"--coordinator={coordinator}: nobody listens there ({error.strerror}); start "
                    "process 0 on that machine, and let this one reach it"
                ) from None
            time.sleep(0.2)
        else:
            return


def _initialize(coordinator: str, **told) -> None:
    try:
        jax.distributed.initialize(
            initialization_timeout=PATIENCE_SECONDS,
            heartbeat_timeout_seconds=PATIENCE_SECONDS,
            shutdown_timeout_seconds=PATIENCE_SECONDS,
            **told,
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"--coordinator={coordinator}: the processes do not find each other ({reason}); start "
            "all of them, with the same coordinator"
        ) from None


def is_leader() -> bool:
    """Tell whether this process writes and decides."""
    return jax.process_index() == 0


def by_leader(action: Callable[[], None]) -> None:
    """Let the leader alone do something; the others wait for it.

    Raises:
        UserError: the leader could not; the others say so.
    """
    error: Exception | None = None
    if is_leader():
        try:
            action()
        except (UserError, OSError) as raised:
            error = raised
    is_done = from_leader(float(error is None))
    if error is not None:
        raise error
    if not is_done:
        raise UserError("process 0 cannot go on; it says why")


def from_leader(value: float) -> float:
    """Give every process what the leader has."""
    if jax.process_count() == 1:
        return value
    return float(multihost_utils.broadcast_one_to_all(np.float64(value)))


def require_same(config: Config, digest: str) -> None:
    """Refuse processes that would train other models, or on other data.

    Args:
        digest: of the items.

    Raises:
        UserError: they do, in each process.
    """
    if jax.process_count() == 1:
        return
    told = json.dumps([asdict(config), digest], sort_keys=True).encode()
    mine = np.frombuffer(hashlib.sha256(told).digest()[:4], np.int32)
    every = np.asarray(multihost_utils.process_allgather(mine)).reshape(-1)
    others = np.flatnonzero(every != every[0])
    if len(others):
        raise UserError(
            f"process {others[0]} has other flags or other data than process 0; give all of them "
            "the same"
        )


@contextmanager
def together() -> Iterator[None]:
    """Say in one line that another process was lost.

    Raises:
        UserError: it was.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"another process is gone ({reason}); start all of them again, with --resume"
        ) from error


def leave() -> None:
    """Let the other processes go; this one may go on alone.

    Each waits for the last to come here, so that nobody takes the end of one for a failure.
    """
    if jax.process_count() > 1:
        jax.distributed.shutdown()
