"""The adapter: what is learned of one user, a vector that is added to every context.

A score is the product of a context and an item's vector, so a vector added to the context moves the
scores of all items at once, and costs nothing to apply. It is learned from the user's own last
activities by softmax cross entropy, whose gradient is what the model expects less what came:
forward operations alone, as a device has them. The model stays as it is, and an adapter of zeros
gives its scores bit for bit.

The guard: the user's very last activities are held back, and an adapter that does not make them
likelier is dropped. Nothing but the user's own past speaks for it.

Functions are of one user; vmap them over several.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from jaxrec.errors import UserError
from jaxrec.schema import PAD

# Adam's decay of the first and the second moment, and what keeps it from dividing by zero.
_FIRST, _SECOND, _LEAST = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class AdaptConfig:
    """How a device learns of its user."""

    activities: int = 100
    """how many of a user's last activities are learned from, M"""
    held_back: int = 20
    """how many of these are not learned from, but decide whether the adapter is kept; 0: it always
    is"""
    half_life: float = 50.0
    """an activity so many activities ago counts half"""
    steps: int = 15
    """steps of Adam"""
    rate: float = 0.1
    """the length of a step"""
    decay: float = 8.0
    """what draws the adapter to zero, times half its squared length: the more, the less is learned
    of few activities"""

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            UserError: which flag.
        """
        if not 0 <= self.held_back < self.activities:
            raise UserError(
                f"--held-back={self.held_back} is out of range; give 0 to {self.activities - 1}, "
                "less than --activities"
            )
        for name in ("half_life", "steps", "rate"):
            if not getattr(self, name) > 0:
                flag = name.replace("_", "-")
                raise UserError(f"--{flag}={getattr(self, name)} is out of range; give more than 0")
        if not self.decay >= 0:
            raise UserError(f"--decay={self.decay} is out of range; give 0 or more")


class Past(NamedTuple):
    """What one user did last.

    Attributes:
        contexts_MD: the model's context before each activity, the most recent activity last.
        targets_M: the item of each; PAD is nothing to learn from.
    """

    contexts_MD: Float[jax.Array, "M D"]
    targets_M: Int[jax.Array, " M"]


class Items(NamedTuple):
    """By what items are scored; the bias of PAD is lower than any score."""

    table_RD: Float[jax.Array, "R D"]
    bias_R: Float[jax.Array, " R"]


class Adapted(NamedTuple):
    """What was learned.

    Attributes:
        adapter_D: zeros if it was dropped.
        before: the mean cross entropy of what was held back, without the adapter ...
        after: ... and with what was learned; NaN if nothing was held back.
    """

    adapter_D: Float[jax.Array, " D"]
    before: Float[jax.Array, ""]
    after: Float[jax.Array, ""]


def adapt(past: Past, items: Items, config: AdaptConfig) -> Adapted:
    """Learn an adapter, and keep it if it helps where it did not learn.

    What decides is learned from all but `held_back`; what is kept is learned from everything.
    """
    is_target_M = past.targets_M != PAD
    weights_M = recency(is_target_M, config.half_life)
    if config.held_back == 0:
        nothing = jnp.asarray(jnp.nan)
        return Adapted(learn(past, weights_M, items, config), nothing, nothing)
    is_held_M = is_target_M & (jnp.arange(len(weights_M)) >= len(weights_M) - config.held_back)
    tried_D = learn(past, jnp.where(is_held_M, 0, weights_M), items, config)
    before, after = (
        jnp.mean(cross_entropies(adapter_D, past, items), where=is_held_M)
        for adapter_D in (jnp.zeros_like(tried_D), tried_D)
    )
    # Nothing held back is NaN, which is not less.
    adapter_D = jnp.where(after < before, learn(past, weights_M, items, config), 0)
    return Adapted(adapter_D, before, after)


def recency(is_target_M: Bool[jax.Array, " M"], half_life: float) -> Float[jax.Array, " M"]:
    """Weigh each activity: the last by one, one `half_life` activities before it by half."""
    ages_M = jnp.arange(len(is_target_M), dtype=jnp.float32)[::-1]
    return jnp.where(is_target_M, 0.5 ** (ages_M / half_life), 0)


def learn(
    past: Past, weights_M: Float[jax.Array, " M"], items: Items, config: AdaptConfig
) -> Float[jax.Array, " D"]:
    """Take some steps of Adam from zero; without a weight it stays zero."""

    def step(
        number: jax.Array, state: tuple[jax.Array, jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        adapter_D, first_D, second_D = state
        slope_D = gradient(adapter_D, past, weights_M, items, config.decay)
        first_D = _FIRST * first_D + (1 - _FIRST) * slope_D
        second_D = _SECOND * second_D + (1 - _SECOND) * slope_D**2
        taken = number.astype(jnp.float32) + 1
        length_D = jnp.sqrt(second_D / (1 - _SECOND**taken)) + _LEAST
        direction_D = first_D / (1 - _FIRST**taken) / length_D
        return adapter_D - config.rate * direction_D, first_D, second_D

    zeros_D = jnp.zeros(past.contexts_MD.shape[1])
    return jax.lax.fori_loop(0, config.steps, step, (zeros_D, zeros_D, zeros_D))[0]


def gradient(
    adapter_D: Float[jax.Array, " D"],
    past: Past,
    weights_M: Float[jax.Array, " M"],
    items: Items,
    decay: float,
) -> Float[jax.Array, " D"]:
    """Give the gradient of the weighted sum of cross entropies and of the decay."""
    expected_MR = jax.nn.softmax(_scores(adapter_D, past, items))
    expected_D = (weights_M @ expected_MR) @ items.table_RD
    came_D = weights_M @ items.table_RD[past.targets_M]
    return expected_D - came_D + decay * adapter_D


def cross_entropies(
    adapter_D: Float[jax.Array, " D"], past: Past, items: Items
) -> Float[jax.Array, " M"]:
    """Tell how surprising each activity is, natural logarithms; what is none, very."""
    log_shares_MR = jax.nn.log_softmax(_scores(adapter_D, past, items))
    return -jnp.take_along_axis(log_shares_MR, past.targets_M[:, None], axis=1)[:, 0]


def _scores(adapter_D: Float[jax.Array, " D"], past: Past, items: Items) -> Float[jax.Array, "M R"]:
    return (past.contexts_MD + adapter_D) @ items.table_RD.T + items.bias_R
