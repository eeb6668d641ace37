"""Guards: checks of a file without its model, the same for all recipes."""

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from jaxtyping import Bool, Float32, Int32

from jaxrec.conversion.inputs import take
from jaxrec.conversion.quiet import quiet, quiet_at_exit
from jaxrec.conversion.verify.trials import HELD_OUT, INT32, Trials
from jaxrec.data.seen import seen_in
from jaxrec.errors import FailedCheckError
from jaxrec.runtime.interpreter import CANDIDATES, HISTORY, DeviceModel, Inputs, Lists
from jaxrec.schema import PAD

# Tolerance for sums of the same numbers in another order, relative for scores above one.
_ROUNDING = 1e-5

# Histories of the further checks: this number of the first and of the last, the strangest ones.
_SAMPLE = 25


def check_guards(
    graph: bytes,
    device: DeviceModel,
    lists: Lists,
    tried: Trials,
    vocabulary_size: int,
    *,
    keep_seen: bool,
) -> None:
    """Check the lists of a file for every history of `tried`, and further outputs for some.

    Args:
        graph: the flatbuffer that `device` runs.
        lists: its lists for every history of `tried`.
        keep_seen: whether lists may contain items of the history.

    Raises:
        FailedCheckError: if a check fails; the message names the history.
    """
    _check_lists(lists, tried, vocabulary_size, keep_seen=keep_seen)
    strange = [kind != HELD_OUT for kind in tried.kinds]
    _check_meaning(device, tried.select(np.array(strange)), vocabulary_size)
    is_sampled = np.zeros(len(tried), bool)
    is_sampled[:_SAMPLE] = is_sampled[-_SAMPLE:] = True
    _check_memory(device, tried.select(is_sampled), lists.scores[is_sampled])
    _check_vectors(device, tried.select(is_sampled), vocabulary_size)
    _check_compiled_model(graph, device, tried.select(is_sampled), lists.ids[is_sampled])


def _check_lists(lists: Lists, tried: Trials, vocabulary_size: int, *, keep_seen: bool) -> None:
    """Check that lists have k distinct items, best first, none of them padding or excluded."""
    ids, scores = lists
    is_item = (ids > PAD) & (ids <= vocabulary_size)
    _require(is_item, tried, "gave an id that is no item")
    _require(np.diff(np.sort(ids, axis=1)) > 0, tried, "gave an item twice")
    _require(np.diff(scores) <= 0, tried, "gave a worse item before a better one")
    if not keep_seen:
        is_excluded = seen_in(tried.meant[HISTORY]).holds(ids)
        _require(~is_excluded, tried, "gave an item of the history")


def _check_meaning(device: DeviceModel, strange: Trials, vocabulary_size: int) -> None:
    """Check that every signature with a history ignores unknown values, as if they were absent."""
    items, is_unknown = _some_items(vocabulary_size)
    candidates = np.tile(np.resize(items, device.candidates), (len(strange), 1))

    def float_outputs(histories: Inputs) -> Float32[np.ndarray, "n m"]:
        results = []
        for name, (inputs, _) in device.signatures.items():
            if HISTORY in inputs:
                given = {**histories, CANDIDATES: candidates}
                taken = {each: rows for each, rows in given.items() if each in inputs}
                found = device.call_all(name, taken)
                rows = [each for each in found.values() if each.dtype == np.float32]
                results += [each.reshape(len(candidates), -1) for each in rows]
        return np.concatenate(results, axis=1)

    given, meant = float_outputs(strange.given), float_outputs(strange.meant)
    # The outputs of a head are NaN for unknown candidates.
    error = np.nan_to_num(np.abs(given - meant) / np.maximum(1, np.abs(meant)))
    error[np.isnan(given) != np.isnan(meant)] = np.inf
    _require(error <= _ROUNDING, strange, "did not pass over what is unknown")
    scores = device.score_all(strange.meant, np.tile(items, (len(strange), 1)))
    _require(is_unknown == (scores < -1e8), strange, "took an unknown candidate for a known one")


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
        raise FailedCheckError("the file gave a vector to an item that is unknown")
    contexts = device.encode_all(sample.given)
    scores = device.score_all(sample.given, np.tile(items, (len(sample), 1)))
    error = np.abs(contexts @ vectors.T + biases - scores)
    # The rounding error of a sum is that of its largest terms, which may cancel.
    unit = np.maximum(1, np.abs(contexts) @ np.abs(vectors).T)
    _require(error <= _ROUNDING * unit, sample, "gave scores that its vectors do not make")


def _check_memory(device: DeviceModel, sample: Trials, scores: Float32[np.ndarray, "n k"]) -> None:
    """Check that the scores of a history are bit-identical, whatever history ran before it."""
    backwards = device.recommend_all(take(sample.given, np.s_[::-1])).scores[::-1]
    _require(scores == backwards, sample, "remembered another history")


def _check_compiled_model(
    graph: bytes, device: DeviceModel, sample: Trials, ids: Int32[np.ndarray, "n k"]
) -> None:
    """Check that CompiledModel, the LiteRT runtime below LiteRT.js, loads the file and agrees."""
    # CompiledModel also writes output when it is deleted, so it is deleted inside quiet().
    quiet_at_exit()
    with quiet():
        found = _in_compiled_model(graph, device, sample.given)
    _require(found == ids, sample, "differs in CompiledModel")


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


def _require(holds: Bool[np.ndarray, "n m"], tried: Trials, complaint: str) -> None:
    """Raise FailedCheckError for the first history whose values do not all hold."""
    broken = np.flatnonzero(~holds.all(axis=1))
    if len(broken):
        raise FailedCheckError(f"the file {complaint} after {tried.describe(int(broken[0]))}")
