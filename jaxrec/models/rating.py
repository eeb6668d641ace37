"""Rating: how a user would rate any item, told by thresholds on one number.

K ratings in their order have K - 1 thresholds. The probability that a rating is above the k-th is
the logistic function of how far the number lies above the k-th threshold (proportional odds,
McCullagh, 1980; of ratings: OrdRec, Koren and Sill, 2011).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Int


class RatingHead(nnx.Module):
    """A head on the context of a history and the vector of an item.

    Attributes:
        values: the ratings, ascending; never learned.
    """

    def __init__(self, values: Sequence[float], items: int, width: int, *, rngs: nnx.Rngs):
        """Draw the parameters.

        Args:
            values: the ratings, ascending, two at least.
            items: V.
            width: of a context and of an item's vector, D.
        """
        self.values = tuple(values)
        # One number more than an item's vector: how generous the user is.
        self.taste = nnx.Linear(width, width + 1, rngs=rngs)
        self.bias = nnx.Param(jnp.zeros(items + 1))
        count = len(values) - 1
        self.first = nnx.Param(jnp.array(-0.5 * (count - 1)))
        self.steps = nnx.Param(jnp.zeros(count - 1))

    @property
    def thresholds(self) -> Float[jax.Array, " K_minus_1"]:
        """What each rating but the highest is exceeded from, ascending."""
        steps = jax.nn.softplus(self.steps[...] + np.log(np.e - 1))
        return jnp.concatenate([self.first[...][None], self.first[...] + jnp.cumsum(steps)])

    def logits(
        self,
        context: Float[jax.Array, "*#B D"],
        items: Float[jax.Array, "*B D"],
        biases: Float[jax.Array, "*B"],
    ) -> Float[jax.Array, "*B K_minus_1"]:
        """Give the log odds that each rating but the highest is exceeded.

        Args:
            context: of histories.
            items: the vector of an item for each, as it is scored by.
            biases: of these items, from `bias`.
        """
        taste = self.taste(context)
        number = jnp.sum(taste[..., :-1] * items, axis=-1) + taste[..., -1] + biases
        return number[..., None] - self.thresholds

    def expected(self, at_least: Float[jax.Array, "*B K_minus_1"]) -> Float[jax.Array, "*B"]:
        """Give the expected rating.

        Args:
            at_least: the probability of each rating but the lowest, or of a higher one.
        """
        return self.values[0] + at_least @ jnp.asarray(np.diff(self.values), at_least.dtype)


def ordinal_loss(
    logits: Float[jax.Array, "W B K_minus_1"], ratings_WB: Int[jax.Array, "W B"]
) -> Float[jax.Array, "W B"]:
    """Give how surprising each rating is: the cross entropies of all thresholds, added up.

    Args:
        ratings_WB: the place of each rating, 1 for the lowest; of 0, which is none, 0 is given.
    """
    exceeds = ratings_WB[..., None] > jnp.arange(1, logits.shape[-1] + 1)
    signs = jnp.where(exceeds, 1.0, -1.0)
    surprises_WB = -jax.nn.log_sigmoid(signs * logits).sum(axis=-1)
    return jnp.where(ratings_WB > 0, surprises_WB, 0)
