"""The protocol of a head: from the query of a history to a label of any item."""

from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Int

from jaxrec.schema import HeadSpec

Queries = Float[jax.Array, "*#B D"]
Items = Float[jax.Array, "*B D"]
Logits = Float[jax.Array, "*B K"]
ItemRows = Mapping[str, Float[jax.Array, "*B"]]
"""The entries of items in each item parameter of a head, by its name."""


class Head(nnx.Module):
    """Predicts a label of any item after a history: what the log will say of the activity.

    Labels, losses, figures, the signatures of a file, its proof, and what Python and the page
    predict are loops over heads. The next item is no `Head`: its parameters are the tables that
    histories are encoded from, its loss compares with other items, and its outputs are ranked.

    Attributes:
        values: of the label, as in its `HeadSpec`.
        signature: of a file, and what `Recommender.predict` calls.
        outputs: names of what is predicted, [B, M, ...]. The first is the expected value of the
            label; by it a head is evaluated, and model.json lists the label's values under its
            name.
        rule: what model.json says of the outputs.
        item_parameters: names of the parameters that have one row per item, [R].
        tolerance: by recipe, how far an output of a file may be from the model's.
    """

    values: tuple[float, ...]
    signature: ClassVar[str]
    outputs: ClassVar[tuple[str, ...]]
    rule: ClassVar[str]
    item_parameters: ClassVar[tuple[str, ...]] = ()
    tolerance: ClassVar[Mapping[str, float]]

    def __init__(self, spec: HeadSpec, items: int, width: int, *, rngs: nnx.Rngs):
        """Initialize the parameters.

        Args:
            spec: the label.
            items: V.
            width: of a query and of an item embedding, D.
        """
        raise NotImplementedError

    def logits(self, query: Queries, items: Items, rows: ItemRows) -> Logits:
        """Return what the losses and the outputs are computed from."""
        raise NotImplementedError

    def losses(self, logits: Logits, labels: Int[jax.Array, "*B"]) -> Float[jax.Array, "*B"]:
        """Return the loss of each label, zero where it is 0."""
        raise NotImplementedError

    def predict(self, logits: Logits) -> dict[str, jax.Array]:
        """Return the outputs by name; those of a NaN are NaN."""
        raise NotImplementedError

    def loss(
        self, query: Queries, items: Items, rows: ItemRows, labels: Int[jax.Array, "*B"]
    ) -> Float[jax.Array, ""]:
        """Return the mean loss of the labels that there are."""
        count = jnp.maximum(jnp.sum(labels > 0, dtype=jnp.float32), 1)
        return self.losses(self.logits(query, items, rows), labels).sum() / count

    def rows(self, ids: Int[jax.Array, "*B"]) -> dict[str, Float[jax.Array, "*B"]]:
        """Gather the entries of items in each item parameter."""
        return {name: getattr(self, name)[...][ids] for name in self.item_parameters}
