"""The runtime of an application: raw items in, raw items with titles out, from one file."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from jaxrec.errors import UserError
from jaxrec.runs.heldout import load_heldout
from jaxrec.runtime import Recommender
from jaxrec.runtime.bundle import read
from tests.exports import ENCODERS


@pytest.fixture(scope="module", params=ENCODERS)
def recommender(request, models) -> Recommender:
    return Recommender.load(models[request.param])


def raw(recommender: Recommender, count: int) -> list:
    return [entry["item"] for entry in recommender._catalogue[:count]]


def test_it_says_what_the_file_says(models, runs):
    recommender = Recommender.load(models["rnn"])
    bundle, heldout = read(models["rnn"]), load_heldout(runs["rnn"] / "heldout.npz")
    for history in heldout.history["item"][:20]:
        items = [bundle.items[i - 1] for i in history if i]
        got = recommender.recommend(items, k=7)
        ids, scores = recommender._device.recommend_all({"history": history[None]})
        assert [each.item for each in got] == [bundle.items[i - 1] for i in ids[0, :7]]
        np.testing.assert_array_equal([each.score for each in got], scores[0, :7])


def test_threads_get_their_own_lists(models):
    """As many threads as a server has, all at once on one recommender."""
    recommender = Recommender.load(models["cnn"])
    items = raw(recommender, 48)
    histories = [items[start : start + 8] for start in range(40)]
    alone = [recommender.recommend(each, k=10) for each in histories]
    scores = [recommender.score(each, items) for each in histories]

    def ask(_: int) -> bool:
        return all(
            recommender.recommend(each, k=10) == wanted
            and recommender.score(each, items) == candidates
            for each, wanted, candidates in zip(histories, alone, scores, strict=True)
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(8)))


def test_titles_come_with_the_items(recommender):
    for each in recommender.recommend(raw(recommender, 3), k=5):
        entry = next(e for e in recommender._catalogue if e["item"] == each.item)
        assert (each.title, each.genres, each.year) == (
            entry["title"],
            entry["genres"],
            entry["year"],
        )
        assert each.title


def test_an_empty_history_gives_what_is_popular(recommender, runs):
    run_dir = runs[recommender.model["encoder"]]
    counts = json.loads((run_dir / "vocabulary.json").read_text())["counts"]
    popular = recommender.recommend([], k=10)
    ids = [recommender._id_of[each.item] for each in popular]
    # The bias begins as popularity and is trained on: the order may differ a little.
    assert np.mean([counts[i] for i in ids]) > 0.8 * np.mean(sorted(counts, reverse=True)[:10])
    assert recommender.recommend(["never heard of it", -5, 10**12], k=10) == popular


def test_of_a_long_history_the_last_n_known_items_count(recommender):
    items = raw(recommender, 30)
    length = recommender.model["history_length"]
    assert recommender.recommend(items) == recommender.recommend(items[-length:])
    noisy = [each for item in items for each in (item, "unknown")]
    assert recommender.recommend(noisy) == recommender.recommend(items)


def test_what_was_seen_does_not_come_back(recommender):
    items = raw(recommender, 5)
    assert not {each.item for each in recommender.recommend(items, k=100)} & set(items)


def test_scores_of_candidates_are_those_of_the_list(recommender):
    items = raw(recommender, 4)
    best = recommender.recommend(items, k=100)
    candidates = [each.item for each in best] * 3
    scores = recommender.score(items, candidates)
    np.testing.assert_allclose(scores, [each.score for each in best] * 3, rtol=1e-6)
    assert recommender.score(items, ["unknown"])[0] < -1e8
    assert recommender.score(items, []) == []


def test_contexts_differ_by_history(recommender):
    one, other = (recommender.encode(raw(recommender, n)) for n in (1, 4))
    assert one.shape == (recommender.model["embedding_dim"],)
    assert np.abs(one - other).max() > 1e-3
    np.testing.assert_array_equal(recommender.encode([]), 0)


@pytest.mark.parametrize("k", [0, -1, 101])
def test_a_k_that_is_not_there_is_refused(recommender, k):
    with pytest.raises(UserError, match=f"k={k} is out of range; give 1 to 100"):
        recommender.recommend([], k=k)


def test_damage_is_found_before_the_runtime_sees_it(models, tmp_path):
    whole = models["cnn"].read_bytes()
    path = tmp_path / "model.tflite"
    for place in (0, 20, 5000, len(read(models["cnn"]).graph) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        with pytest.raises(UserError, match="convert"):
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
