"""Changed lists: the churn between a previous file and a new one on the held-out users."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

from jaxrec.conversion.inputs import as_inputs, take_rows
from jaxrec.conversion.previous_file import PreviousFile
from jaxrec.conversion.suppress_output import suppress_output
from jaxrec.evaluation.churn import (
    CHURN_AT,
    Churn,
    ItemCounts,
    common_ids,
    compute_churn,
    count_items,
)
from jaxrec.runs.heldout import Heldout
from jaxrec.runs.translation import ModelInputs, translate
from jaxrec.runtime.features import input_features
from jaxrec.runtime.interpreter import DeviceModel
from jaxrec.runtime.item_scorer import ItemScorer
from jaxrec.runtime.top_k import histories_per_chunk, rank_all
from jaxrec.schema import PAD, Feature


@dataclass(frozen=True)
class ListChanges:
    """The churn between two files.

    Attributes:
        previous: SHA-256 of the previous file.
        churn: the churn on the held-out users, whose histories are the same for both files.
        items: numbers of the items that both files know, or one of them.
    """

    previous: str
    churn: Churn
    items: ItemCounts


def compare_lists(
    previous: PreviousFile, graph: bytes, keep_seen: bool, heldout: Heldout, inputs: ModelInputs
) -> ListChanges:
    """Compare the lists of a previous file with those of a new one on the held-out histories.

    Each file gets all that it knows of a history, and lists what it lists in an app: seen items
    only if it was exported to keep them.

    Args:
        graph: the flatbuffer of the new file.
        keep_seen: whether the new file lists seen items.
        heldout: the held-out histories of the new file's run.
        inputs: the inputs of the new file.
    """
    bundle = previous.bundle
    features = [
        Feature(each.name, each.of, each.kind, len(each.values), each.values)
        for each in input_features(bundle.model)
    ]
    before_ids, after_ids = common_ids(bundle.items, inputs.items)
    device = _open(bundle.graph)
    its_inputs = ModelInputs(bundle.items, features, device.history_length)
    translated = translate(heldout, inputs, its_inputs)
    before = _top_items(device, len(bundle.items), bundle.model["keep_seen"], translated)
    after = _top_items(_open(graph), len(inputs.items), keep_seen, heldout)
    churn = compute_churn(before_ids[before], after_ids[after], users=heldout.users)
    return ListChanges(previous.sha256, churn, count_items(before_ids, after_ids))


def _open(graph: bytes) -> DeviceModel:
    with suppress_output():
        return DeviceModel(graph)


def _top_items(
    device: DeviceModel, size: int, keep_seen: bool, heldout: Heldout
) -> Int32[np.ndarray, "n k"]:
    """Return the ids of the first ten items of each list."""
    scorer, histories = ItemScorer(device, size), as_inputs(heldout.history)
    step, found = histories_per_chunk(device.batch_size, size), []
    for start in range(0, len(heldout.target), step):
        rows = np.arange(start, min(start + step, len(heldout.target)))
        excluded = np.zeros((len(rows), size + 1), bool)
        excluded[:, PAD] = True
        if not keep_seen:
            seen = heldout.seen.gather(rows)
            excluded[seen.rows, seen.ids] = True
        k = min(CHURN_AT, size)
        found.append(rank_all(scorer, take_rows(histories, rows), excluded, k).ids)
    return np.concatenate(found)
