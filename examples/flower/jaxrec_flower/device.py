"""The device: a finished run that was shipped to it, the log of its user, and local training.

This module does not depend on Flower.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrec.errors import UserError
from jaxrec.federated.averaging import client_update
from jaxrec.federated.client_log import ClientLog, client_config, load_clients
from jaxrec.federated.cohorts import Clients
from jaxrec.federated.initial_model import load_initial_model
from jaxrec.federated.settings import FederatedConfig
from jaxrec.federated.sharing import split_params
from jaxrec.runs.directory import RunDirectory
from jaxrec.training.objective import Objective, make_objective
from jaxrec_flower.wire import COUNTED, FOR_DEVICES, from_arrays, to_arrays


@dataclass(frozen=True, eq=False)
class Device:
    """The data of a device.

    Attributes:
        params: the parameters of the shipped model, of which the fixed item tables are used.
        clients: its only user.
        number: the client id of the user.
    """

    objective: Objective
    params: Any
    clients: Clients
    number: int


# In the simulation, one process serves many devices, one after the other.
@lru_cache(maxsize=16)
def open_device(run: Path, log: Path, number: int, settings: FederatedConfig) -> Device:
    """Read a run and the log of one user, whose columns are named as in the log of the run.

    Raises:
        UserError: the run or the log cannot be read, or cannot be used on a device.
    """
    source, client_log = RunDirectory(run), ClientLog(str(log))
    config = client_config(source, client_log)
    if config.data.split != "leave-one-out":
        raise UserError(
            f"{run} has --split={config.data.split}, for which a device would need the log of all "
            "users; train the run with --split=leave-one-out"
        )
    alone = replace(settings, clients=1)
    dataset, clients = load_clients(source, client_log, config, alone)
    if clients.count != 1:
        raise UserError(f"{log} has {clients.count:,} users; the log of a device has one")
    known = replace(dataset, vocabulary=source.vocabulary())
    model = load_initial_model(source, known, config)
    objective = make_objective(model.graphdef, known, config)
    return Device(objective, model.params, replace(clients, first=number), number)


def device_update(
    device: Device,
    parameters: Mapping[str, np.ndarray],
    keys: Mapping[str, np.ndarray],
    settings: FederatedConfig,
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Train on windows of the user, and return all that leaves the device.

    Args:
        parameters: the shared parameters of the server.
        keys: the data of the round's keys FOR_DEVICES, [2] each.

    Returns:
        The clipped update by parameter name, and the counts.

    Raises:
        UserError: the parameters do not match those of the run.
    """
    like, kept = split_params(device.params, settings.shared_parameters)
    shared = jax.tree.map(jnp.asarray, from_arrays(parameters, like))
    windows, learning = (jax.random.wrap_key_data(jnp.asarray(keys[name])) for name in FOR_DEVICES)
    batches = device.clients.gather(np.array([device.number], np.int32), windows)
    learn = jax.jit(partial(client_update, device.objective, config=settings))
    own = jax.tree.map(lambda each: each[0], batches)
    update, told = learn(shared, kept, learning, client=jnp.int32(device.number), batches=own)
    return to_arrays(update), {name: int(getattr(told, name)) for name in COUNTED}
