"""Adapter: a vector that is learned from one user's activities and added to every query.

A score is the product of a query and an item embedding. So a vector that is added to the query
changes the scores of all items, at no cost. It is trained on the user's own last activities by
softmax cross entropy, whose gradient is the expected item embedding minus the observed one: it
needs forward operations alone, as a device has them. The model does not change, and an adapter of
zeros gives its scores bit for bit.

The user's most recent activities are held out as a guard: an adapter that does not lower their loss
is dropped. The user's own past is the only evidence, so an adapter is trained from zero each time:
an earlier one was trained on activities that are held out now.

Functions take one user; vmap them over several. A file exports them as its signature `adapt`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxrec.config.fields import setting
from jaxrec.errors import UserError
from jaxrec.schema import PAD

# Adam's decay rates of the first and second moment, and the epsilon of its denominator.
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class AdaptConfig:
    """On-device adaptation of --adapt."""

    activities: int = 100
    """M: the number of a user's last activities that are read; each but the first is a training
    target, with those before it as its history"""
    held_out: int = setting(20, old_name="held_back")
    """how many of these are held out to decide whether the adapter is kept; 0: it is always kept"""
    half_life: float = 50.0
    """number of activities after which the weight of an activity is halved"""
    steps: int = 15
    """steps of Adam"""
    learning_rate: float = setting(0.1, old_name="rate")
    """learning rate of Adam"""
    l2_penalty: float = setting(8.0, old_name="decay")
    """coefficient of the L2 penalty, half the squared norm of the adapter; a larger one keeps an
    adapter of few activities smaller"""

    def __post_init__(self) -> None:
        """Check the ranges of the settings.

        Raises:
            UserError: a setting is out of range; the message names its flag.
        """
        if not 0 <= self.held_out < self.activities:
            raise UserError(
                f"--held-out={self.held_out} is out of range; give 0 to {self.activities - 1}, "
                "less than --activities"
            )
        for name in ("half_life", "steps", "learning_rate"):
            if not getattr(self, name) > 0:
                flag = name.replace("_", "-")
                raise UserError(f"--{flag}={getattr(self, name)} is out of range; give more than 0")
        if not self.l2_penalty >= 0:
            raise UserError(f"--l2-penalty={self.l2_penalty} is out of range; give 0 or more")

    def require_more_than(self, history_length: int) -> None:
        """Check that the adapter is trained on more activities than the model reads anyway.

        Raises:
            UserError: `activities` is at most `history_length`.
        """
        if self.activities <= history_length:
            raise UserError(
                f"--activities={self.activities} is not more than the {history_length} items that "
                "the model reads; give more"
            )


class Examples(NamedTuple):
    """The last activities of one user, as examples to train on.

    Attributes:
        query_MD: the model's query before each activity, the most recent activity last.
        targets_M: the item of each activity; PAD is no target.
    """

    query_MD: Float[jax.Array, "M D"]
    targets_M: Int[jax.Array, " M"]


class Items(NamedTuple):
    """The parameters that items are scored with.

    Attributes:
        table_RD: item embeddings.
        bias_R: item biases; that of PAD is lower than any score.
        summed_RD: the same table, for the sums of its rows. One constant for both uses would be
            stored twice in a file, the second time transposed.
    """

    table_RD: Float[jax.Array, "R D"]
    bias_R: Float[jax.Array, " R"]
    summed_RD: Float[jax.Array, "R D"]


class TrainedAdapter(NamedTuple):
    """A trained adapter, and the losses that it was judged by.

    Attributes:
        adapter_D: zeros if it was dropped.
        before: the mean cross entropy of the held-out activities without the adapter.
        after: the same with the trained adapter; both are NaN if nothing was held out.
    """

    adapter_D: Float[jax.Array, " D"]
    before: Float[jax.Array, ""]
    after: Float[jax.Array, ""]


def training_examples(
    history_M: Int[jax.Array, " M"], history_length: int
) -> tuple[Int[jax.Array, "M_plus_1 N"], Int[jax.Array, " M"]]:
    """Return the training examples of a history: windows and their targets.

    Args:
        history_M: known ids at the right end, PAD before them.
        history_length: number of items that the model reads, N.

    Returns:
        The last N items before each activity and at the end, and the item of each activity; PAD
        where there is no item before it.
    """
    ends = np.arange(len(history_M) + 1)
    windows_WN = jnp.pad(history_M, (history_length, 0))[ends[:, None] + np.arange(history_length)]
    return windows_WN, jnp.where(windows_WN[:-1, -1] != PAD, history_M, PAD)


def adapt(
    examples: Examples, weights_M: Float[jax.Array, " M"], items: Items, config: AdaptConfig
) -> TrainedAdapter:
    """Train an adapter, and keep it if it lowers the loss of held-out activities.

    The adapter that decides is trained without them; the one that is kept is trained on all.

    Args:
        weights_M: the weight of each activity in the training loss, 0 or more; that of PAD is
            ignored.
    """
    is_target_M = examples.targets_M != PAD
    weights_M = jnp.where(is_target_M, weights_M, 0)
    if config.held_out == 0:
        undefined = jnp.asarray(jnp.nan)
        return TrainedAdapter(
            train_adapter(examples, weights_M, items, config), undefined, undefined
        )
    is_held_M = is_target_M & (jnp.arange(len(weights_M)) >= len(weights_M) - config.held_out)
    trial_D = train_adapter(examples, jnp.where(is_held_M, 0, weights_M), items, config)
    before, after = (
        jnp.mean(cross_entropies(adapter_D, examples, items), where=is_held_M)
        for adapter_D in (jnp.zeros_like(trial_D), trial_D)
    )
    # Without a held-out target the means are NaN, and the comparison is False.
    adapter_D = jnp.where(after < before, train_adapter(examples, weights_M, items, config), 0)
    return TrainedAdapter(adapter_D, before, after)


def recency_weights(count: int, half_life: float) -> Float[np.ndarray, " M"]:
    """Return the weights of M activities: 1 for the last, halved per `half_life` before it."""
    return np.float32(0.5) ** (np.arange(count, dtype=np.float32)[::-1] / np.float32(half_life))


def train_adapter(
    examples: Examples, weights_M: Float[jax.Array, " M"], items: Items, config: AdaptConfig
) -> Float[jax.Array, " D"]:
    """Train an adapter from zero by steps of Adam; it stays zero if all weights are.

    The gradient of the weighted cross entropies is the weighted sum of the item embeddings that the
    model expects, minus that of the observed ones.
    """

    def step(
        number: jax.Array, state: tuple[jax.Array, jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        adapter_D, first_D, second_D = state
        expected_D = expected_embedding(adapter_D, examples, weights_M, items)
        gradient_D = expected_D - observed_D + config.l2_penalty * adapter_D
        first_D = _BETA1 * first_D + (1 - _BETA1) * gradient_D
        second_D = _BETA2 * second_D + (1 - _BETA2) * gradient_D**2
        count = number.astype(jnp.float32) + 1
        scale_D = jnp.sqrt(second_D / (1 - _BETA2**count)) + _EPSILON
        direction_D = first_D / (1 - _BETA1**count) / scale_D
        return adapter_D - config.learning_rate * direction_D, first_D, second_D

    observed_D = weights_M @ items.summed_RD[examples.targets_M]
    zeros_D = jnp.zeros(examples.query_MD.shape[1])
    return jax.lax.fori_loop(0, config.steps, step, (zeros_D, zeros_D, zeros_D))[0]


def expected_embedding(
    adapter_D: Float[jax.Array, " D"],
    examples: Examples,
    weights_M: Float[jax.Array, " M"],
    items: Items,
) -> Float[jax.Array, " D"]:
    """Return the weighted sum of the item embeddings that a model with an adapter expects."""
    probabilities_MR = jax.nn.softmax(_scores(adapter_D, examples, items))
    return (weights_M @ probabilities_MR) @ items.summed_RD


def cross_entropies(
    adapter_D: Float[jax.Array, " D"], examples: Examples, items: Items
) -> Float[jax.Array, " M"]:
    """Return the cross entropy of each activity, natural logarithms; that of PAD is large."""
    log_probabilities_MR = jax.nn.log_softmax(_scores(adapter_D, examples, items))
    return -jnp.take_along_axis(log_probabilities_MR, examples.targets_M[:, None], axis=1)[:, 0]


def _scores(
    adapter_D: Float[jax.Array, " D"], examples: Examples, items: Items
) -> Float[jax.Array, "M R"]:
    return (examples.query_MD + adapter_D) @ items.table_RD.T + items.bias_R
