"""Processes: training of one model on several machines, each with its own devices.

Every process reads the log, computes its part of each batch, and holds the whole state or its shard
of it. Only the first process, the leader, measures, decides and writes.
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

# JAX finds the other processes itself, as it can under Slurm, on Kubernetes and on TPUs.
AUTO = "auto"

# Timeout for another process at initialization, between heartbeats and at shutdown.
TIMEOUT_SECONDS = 30


def initialize(coordinator: str | None, process_id: int | None, num_processes: int | None) -> None:
    """Initialize JAX's distributed runtime; call it before JAX accesses a device.

    Args:
        coordinator: HOST:PORT of the first process, which listens there; AUTO; None if there is no
            other process.
        process_id: index of this process, from 0.
        num_processes: number of processes.

    Raises:
        UserError: an argument is missing or invalid, or the first process cannot be reached.
    """
    arguments = (process_id, num_processes)
    if coordinator is None:
        if arguments != (None, None):
            raise UserError("--process-id and --num-processes need --coordinator=HOST:PORT")
        return
    if coordinator == AUTO:
        _initialize(coordinator)
        return
    if process_id is None or num_processes is None or not 0 <= process_id < num_processes:
        raise UserError(
            f"--coordinator={coordinator} needs --num-processes and --process-id, from 0; or "
            "give --coordinator=auto under Slurm or Kubernetes"
        )
    if process_id > 0:
        _wait_for(coordinator)
    _initialize(
        coordinator,
        coordinator_address=coordinator,
        num_processes=num_processes,
        process_id=process_id,
        # JAX's default is to listen on all addresses of this machine.
        coordinator_bind_address=coordinator,
    )


def _wait_for(coordinator: str) -> None:
    """Wait until the first process listens; JAX would abort this process without our message."""
    host, _, port = coordinator.rpartition(":")
    if not (host and port.isdecimal()):
        raise UserError(f"--coordinator={coordinator} is not HOST:PORT, as 10.0.0.1:9876")
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise UserError(
                    f"--coordinator={coordinator}: no process listens there ({error.strerror}); "
                    "start process 0 on that machine, and make it reachable from this one"
                ) from None
            time.sleep(0.2)
        else:
            return


def _initialize(coordinator: str, **options) -> None:
    try:
        jax.distributed.initialize(
            initialization_timeout=TIMEOUT_SECONDS,
            heartbeat_timeout_seconds=TIMEOUT_SECONDS,
            shutdown_timeout_seconds=TIMEOUT_SECONDS,
            **options,
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"--coordinator={coordinator}: the processes cannot connect ({reason}); start all of "
            "them, with the same coordinator"
        ) from None


def is_leader() -> bool:
    """Return whether this process is the leader, which decides and writes."""
    return jax.process_index() == 0


def by_leader(action: Callable[[], None]) -> None:
    """Run an action in the leader alone; the other processes wait for it.

    Raises:
        UserError: the action failed; other processes refer to the message of the leader.
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
        raise UserError("process 0 failed; its error message has the reason")


def from_leader(value: float) -> float:
    """Return the leader's value in every process."""
    if jax.process_count() == 1:
        return value
    return float(multihost_utils.broadcast_one_to_all(np.float64(value)))


def require_same(config: Config, digest: str) -> None:
    """Check that all processes have the same configuration and the same data.

    Args:
        digest: of the items.

    Raises:
        UserError: they differ; every process raises it.
    """
    if jax.process_count() == 1:
        return
    settings = json.dumps([asdict(config), digest], sort_keys=True).encode()
    local_hash = np.frombuffer(hashlib.sha256(settings).digest()[:4], np.int32)
    hashes = np.asarray(multihost_utils.process_allgather(local_hash)).reshape(-1)
    others = np.flatnonzero(hashes != hashes[0])
    if len(others):
        raise UserError(
            f"process {others[0]} has other flags or other data than process 0; give the same to "
            "all of them"
        )


@contextmanager
def raise_on_lost_process() -> Iterator[None]:
    """Convert the error of JAX for a lost process to a message of one line.

    Raises:
        UserError: another process was lost.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"another process has ended ({reason}); start all of them again, with --resume"
        ) from error


def shutdown() -> None:
    """Shut down JAX's distributed runtime; this process may continue alone.

    Every process waits for the last one here, so that none takes the exit of another for a failure.
    """
    if jax.process_count() > 1:
        jax.distributed.shutdown()
