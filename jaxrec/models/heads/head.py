"""The interface of a head, which predicts a label of any item from the query of a history."""

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
    """Base class of heads, which predict a label of any item after a history.

    Labels, losses, metrics, the signatures of an exported file, its verification, and predictions
    in Python and on the page are loops over heads. The next item is no `Head`: its parameters are
    the tables that encode histories, its loss compares items, and its outputs are ranked.

    Attributes:
        values: of the label, as in its `HeadSpec`.
        signature: name of the file's signature, which `Recommender.predict` calls.
        outputs: names of the outputs, [B, M, ...]. The first is the expected value of the label:
            it is the one that is evaluated, and model.json lists the label's values under its
            name.
        rule: description of the outputs in model.json.
        item_parameters: names of the parameters that have one row per item, [R].
        tolerance: by recipe, the largest error of a file's outputs against the model's.
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
            items: number of items, V.
            width: of a query and of an item embedding, D.
        """
        raise NotImplementedError

    def logits(self, query: Queries, items: Items, rows: ItemRows) -> Logits:
        """Return the logits, from which losses and outputs are computed."""
        raise NotImplementedError

    def losses(self, logits: Logits, labels: Int[jax.Array, "*B"]) -> Float[jax.Array, "*B"]:
        """Return the loss of each label; zero for label 0, which is missing."""
        raise NotImplementedError

    def predict(self, logits: Logits) -> dict[str, jax.Array]:
        """Return the outputs by name; NaN where the logits are NaN."""
        raise NotImplementedError

    def loss(
        self, query: Queries, items: Items, rows: ItemRows, labels: Int[jax.Array, "*B"]
    ) -> Float[jax.Array, ""]:
        """Return the mean loss over the labels that are not missing."""
        count = jnp.maximum(jnp.sum(labels > 0, dtype=jnp.float32), 1)
        return self.losses(self.logits(query, items, rows), labels).sum() / count

    def rows(self, ids: Int[jax.Array, "*B"]) -> dict[str, Float[jax.Array, "*B"]]:
        """Gather the entries of items in each item parameter."""
        return {name: getattr(self, name)[...][ids] for name in self.item_parameters}
