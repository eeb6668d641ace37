"""Checkpoints: the names of their arrays, also those of earlier versions."""

import jax
import numpy as np
from flax import nnx

from jaxrec.schema import Feature
from jaxrec.training import checkpoint
from jaxrec.training.checkpoint import Progress, open_checkpoints, restore_best, restore_latest
from jaxrec.training.step import TrainState
from tests.small_models import make_model

COUNTRY = Feature("country", "user", "id", 4)


def test_arrays_under_their_earlier_names_are_restored(tmp_path, monkeypatch):
    """`context_features` was saved as `circumstances`, and so were its optimizer states."""
    params = nnx.split(make_model("bow", features=(COUNTRY,)), nnx.Param)[1]
    state = TrainState(params, {"mu": params}, jax.numpy.int32(7))
    name_of = checkpoint.name_of
    with monkeypatch.context() as patch, open_checkpoints(tmp_path) as manager:
        patch.setattr(
            checkpoint,
            "name_of",
            lambda path: name_of(path).replace("context_features", "circumstances"),
        )
        checkpoint.save(manager, state, Progress(epoch=1, step=7), score=0.5)
    other = nnx.split(make_model("bow", seed=1, features=(COUNTRY,)), nnx.Param)[1]
    like = TrainState(other, {"mu": other}, jax.numpy.int32(0))
    with open_checkpoints(tmp_path) as manager:
        assert "circumstances.tables.country" in manager.item_metadata(7)["params"]
        restored = restore_latest(manager, like)
        best = restore_best(manager, other)
    assert restored is not None
    for found in (restored[0].params, restored[0].optimizer["mu"], best):
        assert jax.tree.all(jax.tree.map(np.array_equal, found, params))
