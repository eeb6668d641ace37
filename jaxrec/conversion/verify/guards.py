"""Guards: checks of a file without its model, the same for all recipes."""

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from jaxtyping import Bool, Float32, Int32

from jaxrec.conversion.inputs import take_rows
from jaxrec.conversion.suppress_output import suppress_output, suppress_output_at_exit
from jaxrec.conversion.verify.trials import HELD_OUT, INT32, Trials
from jaxrec.data.excluded_items import items_in
from jaxrec.errors import FailedCheckError
from jaxrec.runtime.interpreter import CANDIDATES, HISTORY, DeviceModel, Inputs, RankedItems
from jaxrec.schema import PAD

# Tolerance for sums of the same numbers in another order, relative for scores above one.
_ROUNDING = 1e-5

# Histories of the further checks: this number of the first and of the last, the strangest ones.
_SAMPLE = 25


def check_guards(
    device: DeviceModel,
    lists: RankedItems,
    trials: Trials,
    vocabulary_size: int,
    *,
    keep_seen: bool,
) -> None:
    """Check the lists of a file for every history of `trials`, and further outputs for some.

    Args:
        lists: the file's lists for every history of `trials`.
        keep_seen: whether lists may contain items of the history.

    Raises:
        FailedCheckError: if a check fails; the message names the history.
    """
    _check_lists(lists, trials, vocabulary_size, keep_seen=keep_seen)
    strange = [kind != HELD_OUT for kind in trials.kinds]
    _check_unknown_values(device, trials.select(np.array(strange)), vocabulary_size)
    is_sampled = _sample(trials)
    _check_statelessness(device, trials.select(is_sampled), lists.scores[is_sampled])
    _check_vectors(device, trials.select(is_sampled), vocabulary_size)


def check_compiled_model(
    graph: bytes, device: DeviceModel, lists: RankedItems, trials: Trials
) -> None:
    """Check that CompiledModel, the LiteRT runtime below LiteRT.js, loads a file and agrees.

    Args:
        graph: the flatbuffer that `device` runs.
        lists: its lists for every history of `trials`.

    Raises:
        FailedCheckError: if a list of some histories differs; the message names the history.
    """
    is_sampled = _sample(trials)
    sample = trials.select(is_sampled)
    # CompiledModel also writes output when it is deleted, so that happens in the block below.
    suppress_output_at_exit()
    with suppress_output():
        found = _in_compiled_model(graph, device, sample.inputs)
    _require(found == lists.ids[is_sampled], sample, "returned another list in CompiledModel")


def _sample(trials: Trials) -> Bool[np.ndarray, " n"]:
    """Return the mask of the histories of further checks."""
    is_sampled = np.zeros(len(trials), bool)
    is_sampled[:_SAMPLE] = is_sampled[-_SAMPLE:] = True
    return is_sampled


def _check_lists(
    lists: RankedItems, trials: Trials, vocabulary_size: int, *, keep_seen: bool
) -> None:
    """Check that lists have k distinct items, best first, none of them padding or excluded."""
    ids, scores = lists
    is_item = (ids > PAD) & (ids <= vocabulary_size)
    _require(is_item, trials, "returned an invalid id")
    _require(np.diff(np.sort(ids, axis=1)) > 0, trials, "returned an item twice")
    _require(np.diff(scores) <= 0, trials, "returned a worse item before a better one")
    if not keep_seen:
        is_excluded = items_in(trials.canonical[HISTORY]).contains(ids)
        _require(~is_excluded, trials, "returned an item of the history")


def _check_unknown_values(device: DeviceModel, strange: Trials, vocabulary_size: int) -> None:
    """Check that every signature with a history ignores unknown values, as if they were absent."""
    items, is_unknown = _some_items(vocabulary_size)
    candidates = np.tile(np.resize(items, device.candidates), (len(strange), 1))

    def float_outputs(histories: Inputs) -> Float32[np.ndarray, "n m"]:
        results = []
        for name, (inputs, _) in device.signatures.items():
            if HISTORY in inputs:
                available = {**histories, CANDIDATES: candidates}
                taken = {each: rows for each, rows in available.items() if each in inputs}
                found = device.call_all(name, taken)
                rows = [each for each in found.values() if each.dtype == np.float32]
                results += [each.reshape(len(candidates), -1) for each in rows]
        return np.concatenate(results, axis=1)

    outputs, expected = float_outputs(strange.inputs), float_outputs(strange.canonical)
    # The outputs of a head are NaN for unknown candidates.
    error = np.nan_to_num(np.abs(outputs - expected) / np.maximum(1, np.abs(expected)))
    error[np.isnan(outputs) != np.isnan(expected)] = np.inf
    _require(error <= _ROUNDING, strange, "did not ignore an unknown value")
    scores = device.score_all(strange.canonical, np.tile(items, (len(strange), 1)))
    _require(is_unknown == (scores < -1e8), strange, "scored an unknown candidate as a known one")


def _some_items(vocabulary_size: int) -> tuple[Int32[np.ndarray, " m"], Bool[np.ndarray, " m"]]:
    """Return ids of known and of unknown items, and the mask of the unknown ones."""
    known = [1, min(2, vocabulary_size), vocabulary_size]
    unknown = [PAD, -1, vocabulary_size + 1, INT32.min, INT32.max]
    return np.array(known + unknown, np.int32), np.arange(len(known + unknown)) >= len(known)


def _check_vectors(device: DeviceModel, sample: Trials, vocabulary_size: int) -> None:
    """Check that queries, vectors and biases give the scores; unknown ids have zero vectors."""
    items, is_unknown = _some_items(vocabulary_size)
    vectors, biases = device.vectors_all(items)
    if vectors[is_unknown].any():
        raise FailedCheckError("the file returned a vector for an unknown item")
    queries = device.encode_all(sample.inputs)
    scores = device.score_all(sample.inputs, np.tile(items, (len(sample), 1)))
    error = np.abs(queries @ vectors.T + biases - scores)
    # The rounding error of a sum is that of its largest terms, which may cancel.
    unit = np.maximum(1, np.abs(queries) @ np.abs(vectors).T)
    _require(
        error <= _ROUNDING * unit, sample, "returned scores that differ from those of its vectors"
    )


def _check_statelessness(
    device: DeviceModel, sample: Trials, scores: Float32[np.ndarray, "n k"]
) -> None:
    """Check that the scores of a history are bit-identical, whatever history ran before it."""
    backwards = device.recommend_all(take_rows(sample.inputs, np.s_[::-1])).scores[::-1]
    _require(scores == backwards, sample, "kept state of another history")


def _in_compiled_model(
    graph: bytes, device: DeviceModel, histories: Inputs
) -> Int32[np.ndarray, "n k"]:
    model = CompiledModel.from_buffer(graph)
    signature = model.get_signature_index("recommend")
    ends = model.get_signature_by_index(signature)
    inputs = dict(zip(ends["inputs"], model.create_input_buffers(signature), strict=True))
    outputs = dict(zip(ends["outputs"], model.create_output_buffers(signature), strict=True))
    # An adapter of zeros leaves the model as it was shipped.
    shipped = np.zeros(device.signatures["encode"].outputs["context"].shape, np.float32)
    found = []
    for batch in device.batches(histories):
        for name, buffer in inputs.items():
            buffer.write(batch.get(name, shipped))
        model.run_by_index(signature, list(inputs.values()), list(outputs.values()))
        found.append(outputs["ids"].read(device.batch_size * device.top_k, np.int32))
    return np.concatenate(found).reshape(-1, device.top_k)[: len(histories[HISTORY])]


def _require(holds: Bool[np.ndarray, "n m"], trials: Trials, complaint: str) -> None:
    """Raise FailedCheckError for the first history whose values do not all hold."""
    broken = np.flatnonzero(~holds.all(axis=1))
    if len(broken):
        raise FailedCheckError(f"the file {complaint} after {trials.describe(int(broken[0]))}")
