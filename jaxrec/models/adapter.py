"""The adapter: what is learned of one user, a vector that is added to every context.

A score is the product of a context and an item's vector, so a vector added to the context moves the
scores of all items at once, and costs nothing to apply. It is learned from the user's own last
activities by softmax cross entropy, whose gradient is what the model expects less what came:
forward operations alone, as a device has them. The model stays as it is, and an adapter of zeros
gives its scores bit for bit.

The guard: the user's very last activities are held back, and an adapter that does not make them
likelier is dropped. Nothing but the user's own past speaks for it. So it is learned from zero each
time: an older one had learned from what is held back now.

Functions are of one user; vmap them over several. A file has them as its signature `adapt`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxrec.errors import UserError
from jaxrec.schema import PAD

# Adam's decay of the first and the second moment, and what keeps it from dividing by zero.
_FIRST, _SECOND, _LEAST = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class AdaptConfig:
    """How a device learns of its user."""

    activities: int = 100
    """how many of a user's last activities are read, M: each but the first is learned from, with
    those before it as its history"""
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

    def require_more_than(self, span: int) -> None:
        """Refuse to learn from no more than what a model reads anyway.

        Raises:
            UserError: it is so.
        """
        if self.activities <= span:
            raise UserError(
                f"--activities={self.activities} is no more than the {span} items that the model "
                "reads; give more"
            )


class Past(NamedTuple):
    """What one user did last.

    Attributes:
        contexts_MD: the model's context before each activity, the most recent activity last.
        targets_M: the item of each; PAD is nothing to learn from.
    """

    contexts_MD: Float[jax.Array, "M D"]
    targets_M: Int[jax.Array, " M"]


class Items(NamedTuple):
    """By what items are scored.

    Attributes:
        bias_R: that of PAD is lower than any score.
        summed_RD: the table again, where its rows are added up: a file would hold it twice, once
            standing and once lying, if both were the same constant.
    """

    table_RD: Float[jax.Array, "R D"]
    bias_R: Float[jax.Array, " R"]
    summed_RD: Float[jax.Array, "R D"]


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


def moments(
    history_M: Int[jax.Array, " M"], span: int
) -> tuple[Int[jax.Array, "M_plus_1 N"], Int[jax.Array, " M"]]:
    """Cut a history into what is learned from.

    Args:
        history_M: known ids at the right end, PAD before them.
        span: how many items the model reads, N.

    Returns:
        The last N items before each activity and before what comes next, and the item of each
        activity; PAD where nothing was known before it.
    """
    ends = np.arange(len(history_M) + 1)
    windows_WN = jnp.pad(history_M, (span, 0))[ends[:, None] + np.arange(span)]
    return windows_WN, jnp.where(windows_WN[:-1, -1] != PAD, history_M, PAD)


def adapt(
    past: Past, weights_M: Float[jax.Array, " M"], items: Items, config: AdaptConfig
) -> Adapted:
    """Learn an adapter, and keep it if it helps where it did not learn.

    What decides is learned from all but `held_back`; what is kept is learned from everything.

    Args:
        weights_M: how much each activity counts where it is learned from, 0 or more; of what is no
            target nothing does.
    """
    is_target_M = past.targets_M != PAD
    weights_M = jnp.where(is_target_M, weights_M, 0)
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


def recency(count: int, half_life: float) -> Float[np.ndarray, " M"]:
    """Weigh each of M activities: the last by one, one `half_life` activities before it by half."""
    return np.float32(0.5) ** (np.arange(count, dtype=np.float32)[::-1] / np.float32(half_life))


def learn(
    past: Past, weights_M: Float[jax.Array, " M"], items: Items, config: AdaptConfig
) -> Float[jax.Array, " D"]:
    """Take some steps of Adam from zero; without a weight it stays zero.

    The gradient of the weighted cross entropies is the sum of the items' vectors that the model
    expects, less the sum of those that came.
    """

    def step(
        number: jax.Array, state: tuple[jax.Array, jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        adapter_D, first_D, second_D = state
        expected_D = expected(adapter_D, past, weights_M, items)
        slope_D = expected_D - came_D + config.decay * adapter_D
        first_D = _FIRST * first_D + (1 - _FIRST) * slope_D
        second_D = _SECOND * second_D + (1 - _SECOND) * slope_D**2
        taken = number.astype(jnp.float32) + 1
        length_D = jnp.sqrt(second_D / (1 - _SECOND**taken)) + _LEAST
        direction_D = first_D / (1 - _FIRST**taken) / length_D
        return adapter_D - config.rate * direction_D, first_D, second_D

    came_D = weights_M @ items.summed_RD[past.targets_M]
    zeros_D = jnp.zeros(past.contexts_MD.shape[1])
    return jax.lax.fori_loop(0, config.steps, step, (zeros_D, zeros_D, zeros_D))[0]


def expected(
    adapter_D: Float[jax.Array, " D"],
    past: Past,
    weights_M: Float[jax.Array, " M"],
    items: Items,
) -> Float[jax.Array, " D"]:
    """Give the weighted sum of the items' vectors that a model with an adapter expects."""
    shares_MR = jax.nn.softmax(_scores(adapter_D, past, items))
    return (weights_M @ shares_MR) @ items.summed_RD


def cross_entropies(
    adapter_D: Float[jax.Array, " D"], past: Past, items: Items
) -> Float[jax.Array, " M"]:
    """Tell how surprising each activity is, natural logarithms; what is none, very."""
    log_shares_MR = jax.nn.log_softmax(_scores(adapter_D, past, items))
    return -jnp.take_along_axis(log_shares_MR, past.targets_M[:, None], axis=1)[:, 0]


def _scores(adapter_D: Float[jax.Array, " D"], past: Past, items: Items) -> Float[jax.Array, "M R"]:
    return (past.contexts_MD + adapter_D) @ items.table_RD.T + items.bias_R
