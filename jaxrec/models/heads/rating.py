"""Rating head: ordinal regression of the rating that a user would give to any item.

K ordered ratings have K - 1 thresholds on one number. The probability that a rating exceeds the
k-th is the logistic function of the number minus the k-th threshold (proportional odds, McCullagh,
1980; for ratings: OrdRec, Koren and Sill, 2011).
"""

from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from jaxrec.models.heads.head import Head, ItemRows, Items, Logits, Queries
from jaxrec.schema import HeadSpec


class RatingHead(Head):
    """A linear map of the query, its product with an item embedding, and ordered thresholds."""

    signature = "rate"
    outputs = ("ratings", "at_least")
    rule = (
        "The expected rating of each candidate, and the probability that it is at least each "
        "rating but the lowest. NaN for unknown candidates."
    )
    item_parameters = ("bias",)
    # Of probabilities; queries and embeddings are quantized before them.
    tolerance = MappingProxyType({"float32": 1e-5, "float16": 0.01, "int8": 0.2})

    def __init__(self, spec: HeadSpec, items: int, width: int, *, rngs: nnx.Rngs):
        """Initialize the parameters; there are at least two ratings."""
        self.values = spec.values
        # One output more than the width of an item embedding: the user's bias.
        self.taste = nnx.Linear(width, width + 1, rngs=rngs)
        self.bias = nnx.Param(jnp.zeros(items + 1))
        count = len(spec.values) - 1
        self.first = nnx.Param(jnp.array(-0.5 * (count - 1)))
        self.steps = nnx.Param(jnp.zeros(count - 1))

    @property
    def thresholds(self) -> Float[jax.Array, " K_minus_1"]:
        """The threshold above each rating but the highest, ascending."""
        steps = jax.nn.softplus(self.steps[...] + np.log(np.e - 1))
        return jnp.concatenate([self.first[...][None], self.first[...] + jnp.cumsum(steps)])

    def logits(self, query: Queries, items: Items, rows: ItemRows) -> Logits:
        """Return the log odds that the rating exceeds each value but the highest."""
        taste = self.taste(query)
        number = jnp.sum(taste[..., :-1] * items, axis=-1) + taste[..., -1] + rows["bias"]
        return number[..., None] - self.thresholds

    def losses(self, logits: Logits, labels: Int[jax.Array, "*B"]) -> Float[jax.Array, "*B"]:
        """Return the sum of the binary cross entropies of all thresholds."""
        exceeds = labels[..., None] > jnp.arange(1, logits.shape[-1] + 1)
        signs = jnp.where(exceeds, 1.0, -1.0)
        cross_entropies = -jax.nn.log_sigmoid(signs * logits).sum(axis=-1)
        return jnp.where(labels > 0, cross_entropies, 0)

    def predict(self, logits: Logits) -> dict[str, jax.Array]:
        """Return the expected rating, and the probability of reaching each value but the lowest."""
        at_least = jax.nn.sigmoid(logits)
        return {"ratings": self.expected(at_least), "at_least": at_least}

    def expected(self, at_least: Float[jax.Array, "*B K_minus_1"]) -> Float[jax.Array, "*B"]:
        """Return the expected rating.

        Args:
            at_least: the probability of a rating of at least each value but the lowest.
        """
        return self.values[0] + at_least @ jnp.asarray(np.diff(self.values), at_least.dtype)
