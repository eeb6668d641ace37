"""Restore: from a finished run directory to its model and all that conversion asks about it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flax import nnx

from convert.quiet import quiet
from jaxrec.checkpoint import open_checkpoints, restore_best
from jaxrec.config import Config, load_config
from jaxrec.data.vocabulary import Vocabulary, load_vocabulary
from jaxrec.errors import UserError
from jaxrec.features import ITEM, load_features
from jaxrec.files import read_json
from jaxrec.heldout import Heldout, load_heldout
from jaxrec.models.recommender import Recommender
from jaxrec.run_directory import (
    CATALOGUE,
    CONFIG,
    FEATURES,
    HELDOUT,
    SUMMARY,
    VOCABULARY,
    is_finished,
)


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: the run directory.
        catalogue: `id`, `item` (raw), `title`, `genres`, `year` of each id, in their order.
        summary: the figures, with their protocol.
        model: the recommender with the parameters of the best epoch on validation.
    """

    folder: Path
    config: Config
    vocabulary: Vocabulary
    catalogue: list[dict[str, Any]]
    heldout: Heldout
    summary: dict[str, Any]
    model: Recommender


def newest_run(root: Path = Path("runs")) -> Path:
    """Find the run that finished last.

    Raises:
        UserError: there is none.
    """
    finished = sorted(root.glob(f"*/{SUMMARY}"), key=lambda path: path.stat().st_mtime)
    if not finished:
        raise UserError(
            f"no finished run under {root}/; train one with `python experiments/run.py`, or name "
            "one with --run-dir"
        )
    return finished[-1].parent


def restore(folder: Path) -> Run:
    """Read a run directory; nothing in it is changed.

    Raises:
        UserError: it is no finished run, of another version, damaged, or its files do not fit each
            other.
    """
    if not (folder / CONFIG).exists():
        raise UserError(f"{folder} is no run directory; name one with --run-dir")
    if not is_finished(folder):
        raise UserError(f"{folder} is not finished; end it with --resume, or name another run")
    config = load_config(folder / CONFIG)
    features = load_features(folder / FEATURES)
    vocabulary = load_vocabulary(folder / VOCABULARY)
    catalogue, summary = read_json(folder / CATALOGUE), read_json(folder / SUMMARY)
    try:
        described = [entry["item"] for entry in catalogue]
        _ = summary["protocol"], summary["test"], summary["baselines"]
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{folder / CATALOGUE} or {folder / SUMMARY} is damaged ({error}); train the run again"
        ) from None
    if described != vocabulary.values.to_list():
        raise UserError(
            f"{folder / CATALOGUE} describes other items than {folder / VOCABULARY} has; train "
            "the run again"
        )
    sizes = {feature.name: feature.size for feature in features}
    if sizes != {ITEM: vocabulary.size}:
        raise UserError(
            f"{folder / FEATURES} has {sizes}, the vocabulary {vocabulary.size} items; train the "
            "run again"
        )
    # The structure alone: the parameters come from the checkpoint.
    abstract = nnx.eval_shape(
        lambda: Recommender(features, config.model, vocabulary.counts, rngs=nnx.Rngs(0))
    )
    graphdef, like = nnx.split(abstract, nnx.Param)
    # orbax warns that what is opened to be read will not be written.
    with quiet(), open_checkpoints(folder, read_only=True) as checkpoints:
        params = restore_best(checkpoints, like)
    return Run(
        folder,
        config,
        vocabulary,
        catalogue,
        load_heldout(folder / HELDOUT),
        summary,
        nnx.merge(graphdef, params),
    )
