"""Lists of finished runs for the same held-out users, and the churn between them."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from flax import nnx
from jaxtyping import Int

from jaxrec.data.feature_values import encode_inputs
from jaxrec.data.progress import ProgressDisplay, show_progress
from jaxrec.errors import UserError
from jaxrec.evaluation.churn import CHURN_AT, Churn, common_ids, compute_churn, count_items
from jaxrec.evaluation.ranking import model_scorer
from jaxrec.evaluation.top_items import top_items
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.heldout import Heldout
from jaxrec.runs.translation import ModelInputs, translate
from jaxrec.training.checkpoint import read_folded_model


def churn_of_pairs(directories: Sequence[RunDirectory]) -> dict[tuple[str, str], Churn]:
    """Compute the churn between all pairs of runs on the held-out histories of the first.

    Items that a run does not know are dropped from its histories. Progress is shown.

    Returns:
        The churn by the paths of the two runs.

    Raises:
        UserError: a run is not finished, its files are damaged, or it has no item of the first.
    """
    heldout, source = directories[0].heldout(), _inputs_of(directories[0])
    inputs = [_inputs_of(each) for each in directories]
    ids_of_runs = common_ids(*(each.items for each in inputs))
    for directory, ids in zip(directories, ids_of_runs, strict=True):
        if count_items(ids_of_runs[0], ids).common == 0:
            raise UserError(f"{directory.path} has none of the items of {directories[0].path}")
    names, lists = [str(each.path) for each in directories], []
    total = len(directories) * len(heldout.target)
    with show_progress(total=total, unit="list") as progress:
        for directory, target, ids in zip(directories, inputs, ids_of_runs, strict=True):
            translated = translate(heldout, source, target)
            lists.append(ids[_lists_of(directory, translated, target, progress)])
    pairs = combinations(zip(names, lists, strict=True), 2)
    return {
        (first, second): compute_churn(before, after, users=heldout.users)
        for (first, before), (second, after) in pairs
    }


def _inputs_of(directory: RunDirectory) -> ModelInputs:
    items = directory.vocabulary().values.to_list()
    features = directory.schema().input_features
    return ModelInputs(items, features, directory.config().data.history_length)


def _lists_of(
    directory: RunDirectory, heldout: Heldout, inputs: ModelInputs, progress: ProgressDisplay
) -> Int[np.ndarray, "n k"]:
    """Return the ids of the top ten of each held-out history, by the best model of a run."""
    batches = top_items(
        model_scorer(*nnx.split(read_folded_model(directory), nnx.Param)),
        encode_inputs(inputs.features, heldout.history),
        heldout.seen,
        catalogue_size=len(inputs.items),
        top=min(CHURN_AT, len(inputs.items)),
        keep_seen=directory.config().data.keep_seen,
    )
    found = []
    for batch in batches:
        found.append(batch)
        progress.update(len(batch))
    return np.concatenate(found)
