"""The runtime for applications: raw items to recommendations with titles, from one file."""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from jaxrec.errors import UserError
from jaxrec.runs.heldout import load_heldout
from jaxrec.runtime import Recommender
from jaxrec.runtime.bundle import read_bundle
from tests.exports import ENCODERS


@pytest.fixture(scope="module", params=ENCODERS)
def recommender(request, models) -> Recommender:
    return Recommender.load(models[request.param])


def raw(recommender: Recommender, count: int) -> list:
    return list(recommender.items[:count])


def test_recommendations_are_those_of_the_graph(models, runs):
    recommender = Recommender.load(models["rnn"])
    bundle, heldout = read_bundle(models["rnn"]), load_heldout(runs["rnn"] / "heldout.npz")
    for history in heldout.history["item"][:20]:
        items = [bundle.items[i - 1] for i in history if i]
        encoded = recommender.recommend(items, k=7)
        ids, scores = recommender._loaded.device.recommend_all({"history": history[None]})
        assert [each.item for each in encoded] == [bundle.items[i - 1] for i in ids[0, :7]]
        np.testing.assert_array_equal([each.score for each in encoded], scores[0, :7])


def test_a_recommender_is_thread_safe(models):
    """Eight threads call one recommender concurrently, as in a server."""
    recommender = Recommender.load(models["cnn"])
    items = raw(recommender, 48)
    histories = [items[start : start + 8] for start in range(40)]
    one_by_one = [recommender.recommend(each, k=10) for each in histories]
    scores = [recommender.score(each, items) for each in histories]

    def ask(_: int) -> bool:
        return all(
            recommender.recommend(each, k=10) == expected
            and recommender.score(each, items) == candidates
            for each, expected, candidates in zip(histories, one_by_one, scores, strict=True)
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(8)))


def test_recommendations_have_titles(recommender):
    for each in recommender.recommend(raw(recommender, 3), k=5):
        entry = next(e for e in recommender.catalogue if e["item"] == each.item)
        assert (each.title, each.genres, each.year) == (
            entry["title"],
            entry["genres"],
            entry["year"],
        )
        assert each.title


def test_an_empty_history_gives_popular_items(recommender, runs):
    run_dir = runs[recommender.model["encoder"]]
    counts = json.loads((run_dir / "vocabulary.json").read_text())["counts"]
    popular = recommender.recommend([], k=10)
    ids = [recommender.items.index(each.item) + 1 for each in popular]
    # The bias is initialized by popularity and trained, so that the order may differ a little.
    assert np.mean([counts[i] for i in ids]) > 0.8 * np.mean(sorted(counts, reverse=True)[:10])


def test_the_last_n_known_items_of_a_long_history_count(recommender):
    items = raw(recommender, 30)
    length = recommender.history_length
    older, recent = items[:-length], items[-length:]
    assert recommender.recommend(items) == recommender.recommend(recent, exclude=older)
    np.testing.assert_array_equal(recommender.encode(items), recommender.encode(recent))
    noisy = [each for item in items for each in (item, "unknown")]
    assert recommender.recommend(noisy) == recommender.recommend(items)


def test_a_history_without_known_items_is_refused(recommender):
    """The usual cause is a log with numbers and a caller with strings."""
    first = recommender.items[0]
    hint = rf"such as '{first}' \(str\); the model has \d+ items, such as {first} \(int\)$"
    history = [str(item) for item in raw(recommender, 3)]
    for call in (
        lambda: recommender.recommend(history),
        lambda: recommender.encode(history),
        lambda: recommender.score(history, raw(recommender, 1)),
    ):
        with pytest.raises(UserError, match=f"^all items are unknown, {hint}"):
            call()
    with pytest.raises(UserError, match=rf"^all items of histories\[1\] are unknown, {hint}"):
        recommender.recommend_many([[], history])
    with pytest.raises(UserError, match=f"^all candidates are unknown, {hint}"):
        recommender.recommend([], candidates=history)


def test_a_string_is_no_list_of_items(recommender):
    for call, what in (
        (lambda: recommender.recommend("12"), "items"),
        (lambda: recommender.recommend([], exclude="12"), "items to exclude"),
        (lambda: recommender.recommend([], candidates="12"), "candidates"),
        (lambda: recommender.score([], "12"), "candidates"),
        (lambda: recommender.recommend_many("12"), "histories"),
        (lambda: recommender.recommend_many([[], "12"]), "items of histories[1]"),
        (lambda: recommender.recommend_many([[]], exclude=["12"]), "items to exclude of histories"),
    ):
        with pytest.raises(UserError, match=f"^the {re.escape(what)}.* are '12' .str., not a list"):
            call()


def test_the_items_of_the_catalogue_are_known(recommender):
    assert [entry["item"] for entry in recommender.catalogue] == list(recommender.items)
    assert all(recommender.knows(item) for item in recommender.items)
    assert not recommender.knows(str(recommender.items[0]))
    assert recommender.history_length == recommender.model["history_length"]


def test_one_entry_for_each_history_is_required(recommender):
    histories = [raw(recommender, 1), raw(recommender, 2)]
    with pytest.raises(UserError, match="exclude has 1 entries for 2 histories; give one each"):
        recommender.recommend_many(histories, exclude=[[]])
    with pytest.raises(UserError, match="features has 3 entries for 2 histories"):
        recommender.recommend_many(histories, features=[{}] * 3)
    assert recommender.recommend_many([]) == []


def test_seen_items_are_not_recommended(recommender):
    items = raw(recommender, 5)
    assert not {each.item for each in recommender.recommend(items, k=100)} & set(items)
    # Also those before the last `history_length` activities.
    recommended = recommender.recommend(recommender.items[:60], k=len(recommender.items))
    assert {each.item for each in recommended} == set(recommender.items[60:])
    assert recommender.recommend(recommender.items) == []


def test_scores_of_candidates_are_those_of_the_list(recommender):
    items = raw(recommender, 4)
    best = recommender.recommend(items, k=100)
    candidates = [each.item for each in best] * 3
    scores = recommender.score(items, candidates)
    np.testing.assert_allclose(scores, [each.score for each in best] * 3, rtol=1e-6)
    assert recommender.score(items, ["unknown"])[0] < -1e8
    assert recommender.score(items, []) == []


def test_scores_are_products_of_queries_and_vectors_plus_biases(recommender):
    """This holds for a quantized file too, since all its signatures share the rounded weights."""
    vectors, biases = recommender.vectors()
    size = len(recommender.items)
    assert vectors.shape == (size, recommender.model["embedding_dim"])
    assert (vectors.dtype, biases.shape, biases.dtype) == (np.float32, (size,), np.float32)
    for history in ([], raw(recommender, 1), raw(recommender, 9)):
        scores = recommender.encode(history) @ vectors.T + biases
        np.testing.assert_allclose(
            scores, recommender.score(history, recommender.items), rtol=1e-5, atol=1e-5
        )


def test_external_retrieval_gives_the_same_list(recommender):
    vectors, biases = recommender.vectors()
    for start in range(30):
        history = recommender.items[start : start + 12]
        scores = recommender.encode(history) @ vectors.T + biases
        order = np.argsort(-scores, kind="stable")
        found = [recommender.items[i] for i in order if recommender.items[i] not in history][:20]
        assert found == [each.item for each in recommender.recommend(history, k=20)]


def test_similar_items_are_ranked_by_cosine_similarity(recommender):
    vectors, _ = recommender.vectors()
    size = len(recommender.items)
    for number in (0, 7, size - 1):
        found = recommender.similar(recommender.items[number], k=size)
        expected = {
            item: vector
            @ vectors[number]
            / np.linalg.norm(vector)
            / np.linalg.norm(vectors[number])
            for item, vector in zip(recommender.items, vectors, strict=True)
        }
        del expected[recommender.items[number]]
        assert {each.item for each in found} == expected.keys()
        cosines = [each.score for each in found]
        assert cosines == sorted(cosines, reverse=True)
        np.testing.assert_allclose(cosines, [expected[each.item] for each in found], atol=1e-5)
        assert recommender.similar(recommender.items[number], k=3) == found[:3]
        assert found[0].title


def test_similar_refuses_an_unknown_item(recommender):
    first = recommender.items[0]
    with pytest.raises(UserError, match=rf"^unknown item '{first}' \(str\); the model has"):
        recommender.similar(str(first))
    with pytest.raises(UserError, match="k=0 is out of range"):
        recommender.similar(first, k=0)


def test_queries_differ_by_history(recommender):
    one, other = (recommender.encode(raw(recommender, n)) for n in (1, 4))
    assert one.shape == (recommender.model["embedding_dim"],)
    assert np.abs(one - other).max() > 1e-3
    np.testing.assert_array_equal(recommender.encode([]), 0)


@pytest.mark.parametrize("k", [0, -1, 10_000])
def test_a_k_out_of_range_is_refused(recommender, k):
    for call in (recommender.recommend, recommender.recommend_many):
        with pytest.raises(
            UserError, match=f"k={k} is out of range; give 1 to {len(recommender.items)}"
        ):
            call([], k=k)


def test_a_damaged_file_is_refused_before_it_is_interpreted(models, tmp_path):
    content = models["cnn"].read_bytes()
    path = tmp_path / "model.tflite"
    for offset in (0, 20, 5000, len(read_bundle(models["cnn"]).graph) - 1):
        path.write_bytes(content[:offset] + bytes([content[offset] ^ 255]) + content[offset + 1 :])
        with pytest.raises(UserError, match="export its run again"):
            Recommender.load(path)


def test_it_needs_neither_jax_nor_tensorflow(models):
    script = (
        "import sys; from jaxrec.runtime import Recommender; "
        f"assert Recommender.load({str(models['bow'])!r}).recommend([]); "
        "others = ('jax', 'flax', 'tensorflow', 'polars', 'orbax', 'jaxtyping', 'tyro');"
        "print([name for name in others if name in sys.modules])"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "[]"
