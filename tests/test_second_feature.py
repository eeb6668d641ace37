"""A feature made up here goes the whole way: nothing takes the item's id for the only input."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from convert import benchmark as timing
from convert import parity, to_tflite
from convert.inputs import as_inputs
from convert.restore import restore
from experiments.run import fit
from jaxrec.config import Config, DataConfig, ModelConfig, TrainConfig
from jaxrec.data.dataset import Dataset, prepare
from jaxrec.data.sources.synthetic import synthetic_world
from jaxrec.errors import UserError
from jaxrec.runs.directory import RunDirectory
from jaxrec.runtime import Recommender
from jaxrec.runtime.bundle import read
from jaxrec.runtime.interpreter import HISTORY, DeviceModel
from jaxrec.schema import ITEM, Feature
from tests.browser import site
from tests.exports import call

pytest.importorskip("tensorflow", reason="needs the extra convert")

# Before "item" in the alphabet, by which JAX and TensorFlow sort what they get by name.
GENRE = Feature("genre", "activity", "id", 4)
# Two encoders: one that reads order, and one that does not.
ENCODERS = ("bow", "rnn")


def with_genres(dataset: Dataset) -> Dataset:
    """Say of each activity something that follows from its item, and sometimes nothing."""
    items = dataset.timelines.items
    unknown = np.random.default_rng(0).random(len(items)) < 0.1
    genres = np.where(unknown, 0, 1 + items % GENRE.size).astype(np.int32)
    activities = {**dataset.timelines.activities, GENRE.name: genres}
    timelines = replace(dataset.timelines, activities=activities)
    return replace(dataset, timelines=timelines, features=(GENRE,))


@pytest.fixture(scope="module", params=ENCODERS)
def run(request, tmp_path_factory) -> RunDirectory:
    """A trained and converted run of a world whose activities have a genre."""
    config = Config(
        DataConfig(),
        ModelConfig(request.param, embedding_dim=8, hidden_units=12, dropout=0.0),
        TrainConfig(epochs=2, batch_size=32, learning_rate=0.02),
    )
    dataset = prepare(synthetic_world(users=300, items=120), config.data, seed=0)
    directory = RunDirectory(tmp_path_factory.mktemp("genres") / request.param)
    fit(with_genres(dataset), config, directory)
    process = call(to_tflite.main, f"--run-dir={directory.path}", cwd=directory.path)
    assert process.returncode == 0, process.stderr
    return directory


def test_the_file_takes_it_by_name(run):
    signatures = read(run.model_file).model["signatures"]
    row = {"dtype": "int32", "shape": [1, 10]}
    assert signatures["vectors"]["inputs"] == {"items": {"dtype": "int32", "shape": [1, 100]}}
    for name, more in (("recommend", set()), ("encode", set()), ("score", {"candidates"})):
        inputs = signatures[name]["inputs"]
        assert inputs.keys() == {HISTORY, GENRE.name} | more
        assert inputs[HISTORY] == inputs[GENRE.name] == row


@pytest.mark.filterwarnings("ignore")
def test_the_file_says_what_the_model_says(run):
    process = call(parity.main, f"--model={run.model_file}", cwd=run.path)
    assert process.returncode == 0, process.stderr
    source = restore(run.path)
    histories = {name: rows[:20] for name, rows in source.heldout.history.items()}
    contexts = source.model.context({name: jnp.asarray(rows) for name, rows in histories.items()})
    device = DeviceModel(read(run.model_file).graph)
    found = device.encode_all(as_inputs(histories))
    # The file is rounded to int8.
    assert np.corrcoef(found.ravel(), np.asarray(contexts).ravel())[0, 1] > 0.99


def test_it_can_be_timed(run):
    process = call(timing.main, str(run.model_file), "--rounds=1", cwd=run.path)
    assert process.returncode == 0, process.stderr


def raw_histories(run: RunDirectory) -> list[tuple[list[int], list[int]]]:
    """Raw items and genres of some held-out histories, in one of them an unknown item."""
    items = read(run.model_file).items
    heldout = run.heldout().history
    histories = []
    for ids, genres in zip(heldout[ITEM][:30], heldout[GENRE.name], strict=False):
        known = ids > 0
        histories.append(([items[number - 1] for number in ids[known]], genres[known].tolist()))
    histories[3][0].insert(1, -5)
    histories[3][1].insert(1, 2)
    return histories


def test_the_runtime_takes_it_beside_the_items(run):
    recommender = Recommender.load(run.model_file)
    device = DeviceModel(read(run.model_file).graph)
    histories = as_inputs({name: rows[:30] for name, rows in run.heldout().history.items()})
    wanted = device.recommend_all(histories)
    changes = 0
    for number, (items, genres) in enumerate(raw_histories(run)):
        found = recommender.recommend(items, k=10, features={GENRE.name: genres})
        np.testing.assert_array_equal([each.score for each in found], wanted.scores[number, :10])
        changes += found != recommender.recommend(items, k=10)
        # Without it, all of it is unknown.
        unknown = {GENRE.name: [0] * len(items)}
        assert recommender.recommend(items) == recommender.recommend(items, features=unknown)
        np.testing.assert_array_equal(
            recommender.encode(items), recommender.encode(items, features=unknown)
        )
    assert changes > 5
    many = [items for items, _ in raw_histories(run)]
    features = [{GENRE.name: genres} for _, genres in raw_histories(run)]
    alone = [
        recommender.recommend(each, features=f) for each, f in zip(many, features, strict=True)
    ]
    assert recommender.recommend_many(many, features=features) == alone


def test_the_runtime_refuses_what_the_model_does_not_take(run):
    recommender = Recommender.load(run.model_file)
    for name in ("mood", HISTORY):
        with pytest.raises(UserError, match=f"takes no feature '{name}'; it takes genre"):
            recommender.recommend([], features={name: []})
    with pytest.raises(UserError, match="1 values of 'genre' for 2 items; give one for each"):
        recommender.score(recommender.items[:2], [3], features={"genre": [1]})
    with pytest.raises(UserError, match=r"1 values of 'genre' for 0 items of histories\[1\]"):
        recommender.recommend_many([[], []], features=[{}, {"genre": [1]}])


IN_THE_PAGE = """
async ([url, histories]) => {
  const { Recommender } = await import('./recommender.js');
  const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
  const recommender = await Recommender.load(bytes);
  const lists = [];
  for (const [items, genre] of histories) {
    const withIt = await recommender.recommend(items, 10, { features: { genre } });
    lists.push([withIt, await recommender.recommend(items)]);
  }
  const refused = [];
  const known = histories[0][0].slice(0, 1);
  for (const features of [{ mood: [1] }, { genre: [1, 2] }]) {
    await recommender
      .recommend(known, 10, { features })
      .catch((error) => refused.push(error.message));
  }
  return [lists.map((pair) => pair.map((list) => list.map(({ score }) => score))), refused];
}
"""


def test_the_page_takes_it_beside_the_items(run, browser, tmp_path):
    histories = raw_histories(run)
    with site(tmp_path / "site", run.model_file) as place:
        (tmp_path / "site" / "model.tflite").write_bytes(run.model_file.read_bytes())
        page = browser.new_page()
        page.goto(f"{place.url}models.json")
        lists, refused = page.evaluate(IN_THE_PAGE, ["model.tflite", histories])
        page.close()
    recommender = Recommender.load(run.model_file)
    for (items, genres), (with_it, without) in zip(histories, lists, strict=True):
        features = {GENRE.name: genres}
        here = [each.score for each in recommender.recommend(items, features=features)]
        np.testing.assert_allclose(with_it, here, rtol=0, atol=1e-5)
        here = [each.score for each in recommender.recommend(items)]
        np.testing.assert_allclose(without, here, rtol=0, atol=1e-5)
    assert refused == [
        'the model takes no feature "mood"; it takes genre',
        '2 values of "genre" for 1 items; give one for each',
    ]
