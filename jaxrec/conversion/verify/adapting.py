"""Adapting: what a file learns of a user, held against what its model would."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Int32

from jaxrec.conversion.verify.trials import INT32
from jaxrec.evaluation.adapted import learn_of
from jaxrec.models.adapter import AdaptConfig, recency
from jaxrec.models.model import RecommenderModel
from jaxrec.runtime.interpreter import DeviceModel
from jaxrec.schema import PAD


def adapting_error(
    device: DeviceModel,
    model: RecommenderModel,
    histories: Int32[np.ndarray, "n N"],
    config: AdaptConfig,
) -> float:
    """Give the largest difference of what is learned of some users.

    It is that of a loss, in units of one or of the loss; or the length of the difference of two
    adapters, in units of the model's. Where one of the two kept its adapter and the other did not,
    it is by how much the model found it better or worse.

    Args:
        histories: of held-out users, of which longer ones are made.
    """
    weights = recency(config.activities, config.half_life)
    learned = jax.jit(learn_of, static_argnames=("span", "config"))
    errors = []
    for number, activities in enumerate(_users(histories, config)):
        asked = jnp.asarray(activities), jnp.asarray(weights)
        _, wanted = learned(model, *asked, span=device.history_length, config=config)
        # What is no id is padding too.
        unknown = np.where(activities == PAD, INT32.max if number % 2 else -1, activities)
        found = device.adapt(unknown, weights)
        vector, (before, after) = np.asarray(wanted.adapter_D), map(float, wanted[1:])
        errors += [_loss_error(found.before, before), _loss_error(found.after, after)]
        if found.adapter.any() != vector.any():
            errors.append(abs(after - before))
        elif vector.any():
            errors.append(_length(found.adapter - vector) / _length(vector))
    # What is not a number is as far as it gets.
    return float(np.nan_to_num(errors, nan=np.inf).max())


def _loss_error(found: float, wanted: float) -> float:
    """Compare losses; where nothing was held back both are NaN."""
    if np.isnan(found) and np.isnan(wanted):
        return 0.0
    return abs(found - wanted) / max(1, wanted)


def _length(vector: Float32[np.ndarray, " D"]) -> float:
    return float(np.linalg.norm(vector))


def _users(
    histories: Int32[np.ndarray, "n N"], config: AdaptConfig
) -> list[Int32[np.ndarray, " M"]]:
    """Make users who did nothing, something, as much as is read: one history after the other."""
    items = histories[histories != PAD]
    most = config.activities
    users = []
    for number, length in enumerate([0, 1, config.held_back + 2, most // 2, most - 1, most, most]):
        known = np.resize(np.roll(items, -number * most), length)
        users.append(np.pad(known, (most - len(known), 0)).astype(np.int32))
    return users
