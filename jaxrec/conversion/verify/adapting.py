"""Verification of on-device adaptation against the JAX model."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Int32

from jaxrec.conversion.verify.trials import INT32
from jaxrec.evaluation.adapted import adapt_to_user
from jaxrec.models.adapter import AdaptConfig, recency_weights
from jaxrec.models.model import RecommenderModel
from jaxrec.runtime.interpreter import DeviceModel
from jaxrec.schema import PAD


def compute_adapting_error(
    device: DeviceModel,
    model: RecommenderModel,
    histories: Int32[np.ndarray, "n N"],
    config: AdaptConfig,
) -> float:
    """Compute the largest error of the adapters and losses of some users.

    The error of a loss is in units of one or of the loss, whichever is larger. The error of an
    adapter is the norm of the difference, relative to the norm of the model's adapter. Where only
    one of the two keeps its adapter, it is the change of the model's loss by the adapter.

    Args:
        histories: histories of held-out users, from which longer ones are built.
    """
    weights = recency_weights(config.activities, config.half_life)
    learned = jax.jit(adapt_to_user, static_argnames=("history_length", "config"))
    errors = []
    for number, activities in enumerate(_build_users(histories, config)):
        args = jnp.asarray(activities), jnp.asarray(weights)
        _, wanted = learned(model, *args, history_length=device.history_length, config=config)
        # Invalid ids have to count as padding.
        unknown = np.where(activities == PAD, INT32.max if number % 2 else -1, activities)
        found = device.adapt(unknown, weights)
        vector, (before, after) = np.asarray(wanted.adapter_D), map(float, wanted[1:])
        errors += [_loss_error(found.before, before), _loss_error(found.after, after)]
        if found.adapter.any() != vector.any():
            errors.append(abs(after - before))
        elif vector.any():
            errors.append(_norm(found.adapter - vector) / _norm(vector))
    # NaN counts as an infinite error.
    return float(np.nan_to_num(errors, nan=np.inf).max())


def _loss_error(found: float, wanted: float) -> float:
    """Return the error of a loss; 0 where both are NaN, because nothing was held out."""
    if np.isnan(found) and np.isnan(wanted):
        return 0.0
    return abs(found - wanted) / max(1, wanted)


def _norm(vector: Float32[np.ndarray, " D"]) -> float:
    return float(np.linalg.norm(vector))


def _build_users(
    histories: Int32[np.ndarray, "n N"], config: AdaptConfig
) -> list[Int32[np.ndarray, " M"]]:
    """Build users with 0 to M activities, the most that a file reads, from joined histories."""
    items = histories[histories != PAD]
    most = config.activities
    users = []
    for number, length in enumerate([0, 1, config.held_out + 2, most // 2, most - 1, most, most]):
        known = np.resize(np.roll(items, -number * most), length)
        users.append(np.pad(known, (most - len(known), 0)).astype(np.int32))
    return users
