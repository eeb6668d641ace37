"""Custom features, from training to both runtimes: the item id is not the only input."""

import zipfile
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrec.cli import benchmark as timing
from jaxrec.cli import export, verify
from jaxrec.config.experiment import Config, TrainConfig
from jaxrec.conversion.inputs import as_inputs
from jaxrec.conversion.restore import restore_run
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset, prepare
from jaxrec.data.feature_values import encode_inputs
from jaxrec.data.sources.synthetic import synthetic_world
from jaxrec.models.model_config import ModelConfig
from jaxrec.runs.directory import RunDirectory
from jaxrec.runtime import Recommender
from jaxrec.runtime.bundle import read_bundle
from jaxrec.runtime.interpreter import HISTORY, DeviceModel
from jaxrec.schema import AGE, ITEM, Feature
from jaxrec.training.fit import fit
from tests.browser import site
from tests.exports import call

pytest.importorskip("tensorflow", reason="needs the extra convert")
pytestmark = pytest.mark.slow

# "genre" sorts before "item": JAX and TensorFlow sort inputs by name.
GENRE = Feature("genre", "activity", "id", 4, ("drama", "comedy", 3, 4.5))
PRICE = Feature("price", "activity", "number", 3, (2.5, 9.99))
COUNTRY = Feature("user_country", "user", "id", 2, ("fr", "de"))
INCOME = Feature("user_income", "user", "number", 2, (1e3,))
OF_ACTIVITIES = (GENRE.name, PRICE.name, AGE)
OF_USERS = (COUNTRY.name, INCOME.name)
HISTORIES = 30


def with_features(dataset: Dataset) -> Dataset:
    """Add features that follow from item ids and user numbers, a tenth of them unknown."""
    rng = np.random.default_rng(0)

    def values_of(feature: Feature, numbers: np.ndarray) -> np.ndarray:
        unknown = rng.random(len(numbers)) < 0.1
        return np.where(unknown, 0, 1 + numbers % feature.size).astype(np.int32)

    timelines, items = dataset.timelines, dataset.timelines.items
    activities = {
        **timelines.activities,
        **{each.name: values_of(each, items) for each in (GENRE, PRICE)},
    }
    numbers = np.arange(len(timelines.lengths))
    users = {each.name: values_of(each, numbers) for each in (COUNTRY, INCOME)}
    timelines = replace(timelines, activities=activities, users=users)
    features = (GENRE, PRICE, *dataset.features, COUNTRY, INCOME)
    return replace(dataset, timelines=timelines, features=features)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunDirectory:
    """Return a trained and converted run with features of activities and users."""
    config = Config(
        DataConfig(time_gaps=True),
        ModelConfig("rnn", embedding_dim=8, hidden_units=12, dropout=0.0),
        TrainConfig(epochs=2, batch_size=32, learning_rate=0.02),
    )
    dataset = prepare(synthetic_world(users=300, items=120), config.data, seed=0)
    directory = RunDirectory(tmp_path_factory.mktemp("features") / "rnn")
    fit(with_features(dataset), config, directory)
    process = call(export.main, f"--run-dir={directory.path}", cwd=directory.path)
    assert process.returncode == 0, process.stderr
    return directory


def test_the_file_has_an_input_for_each_feature(run):
    signatures = read_bundle(run.model_file).model["signatures"]
    row = {"dtype": "int32", "shape": [1, 10]}
    of_activities = dict.fromkeys((HISTORY, GENRE.name, AGE), row)
    of_activities[PRICE.name] = {"dtype": "float32", "shape": [1, 10]}
    of_users = {
        COUNTRY.name: {"dtype": "int32", "shape": [1]},
        INCOME.name: {"dtype": "float32", "shape": [1]},
    }
    candidates = {"dtype": "int32", "shape": [1, 100]}
    assert signatures["vectors"]["inputs"] == {"items": candidates}
    for name, more in (("recommend", set()), ("encode", set()), ("score", {"candidates"})):
        inputs = dict(signatures[name]["inputs"])
        assert {each: inputs.pop(each) for each in more} == dict.fromkeys(more, candidates)
        assert inputs == of_activities | of_users


def test_the_file_encodes_like_the_model(run):
    process = call(verify.main, f"--model={run.model_file}", cwd=run.path)
    assert process.returncode == 0, process.stderr
    source = restore_run(run.path)
    histories = {name: rows[:20] for name, rows in source.heldout.history.items()}
    ids = encode_inputs(source.model.features, histories)
    queries = source.model.encode_last({name: jnp.asarray(rows) for name, rows in ids.items()})
    device = DeviceModel(read_bundle(run.model_file).graph)
    found = device.encode_all(as_inputs(histories))
    # The file is quantized to int8.
    assert np.corrcoef(found.ravel(), np.asarray(queries).ravel())[0, 1] > 0.99


def test_the_card_notes_the_time_of_the_target(run):
    with zipfile.ZipFile(run.model_file) as archive:
        assert "knows the target's time." in archive.read("MODEL_CARD.md").decode()


def test_the_file_can_be_benchmarked(run):
    process = call(timing.main, str(run.model_file), "--rounds=1", cwd=run.path)
    assert process.returncode == 0, process.stderr


def requests_of(run: RunDirectory) -> list[tuple[list[int], dict]]:
    """Return raw items and raw features of held-out histories; one has an unknown item."""
    known = read_bundle(run.model_file).items
    heldout = run.heldout().history
    requests = []
    for row in range(HISTORIES):
        valid = heldout[ITEM][row] > 0
        items = [known[number - 1] for number in heldout[ITEM][row][valid]]
        features = {name: heldout[name][row][valid].tolist() for name in OF_ACTIVITIES}
        features |= {name: heldout[name][row].item() for name in OF_USERS}
        features[GENRE.name] = [raw(GENRE, number) for number in features[GENRE.name]]
        features[COUNTRY.name] = raw(COUNTRY, features[COUNTRY.name])
        requests.append((items, {name: without_nan(given) for name, given in features.items()}))
    items, features = requests[3]
    items.insert(1, -5)
    for name in OF_ACTIVITIES:
        features[name].insert(1, features[name][0])
    return requests


def raw(feature: Feature, number: int):
    return feature.values[number - 1] if number else None


def without_nan(given):
    """Replace NaN by None: features go to the browser as JSON, which has no NaN."""
    if isinstance(given, list):
        return [without_nan(each) for each in given]
    return None if given != given else given


def test_the_python_runtime_takes_the_features(run):
    recommender = Recommender.load(run.model_file)
    device = DeviceModel(read_bundle(run.model_file).graph)
    histories = as_inputs({name: rows[:HISTORIES] for name, rows in run.heldout().history.items()})
    expected = device.recommend_all(histories)
    changes = 0
    for number, (items, features) in enumerate(requests_of(run)):
        found = recommender.recommend(items, k=10, features=features)
        np.testing.assert_array_equal([each.score for each in found], expected.scores[number, :10])
        changes += found != recommender.recommend(items, k=10)
    assert changes > 5
    many, features = zip(*requests_of(run), strict=True)
    one_by_one = [
        recommender.recommend(each, features=f) for each, f in zip(many, features, strict=True)
    ]
    assert recommender.recommend_many(many, features=features) == one_by_one


IN_THE_PAGE = """
async ([url, asked]) => {
  const { Recommender } = await import('./jaxrec/recommender.js');
  const recommender = await Recommender.load(url, { runtime: 'runtime' });
  const lists = [];
  for (const [items, features] of asked) {
    const told = await recommender.recommend(items, 10, { features });
    lists.push([told, await recommender.recommend(items)]);
  }
  return lists.map((pair) => pair.map((list) => list.map(({ score }) => score)));
}
"""


def test_the_browser_runtime_takes_the_features(run, browser, tmp_path):
    requests = requests_of(run)
    with site(tmp_path / "site", run.model_file) as served:
        (tmp_path / "site" / "model.tflite").write_bytes(run.model_file.read_bytes())
        page = browser.new_page()
        page.goto(f"{served.url}models.json")
        lists = page.evaluate(IN_THE_PAGE, ["model.tflite", requests])
        page.close()
    recommender = Recommender.load(run.model_file)
    for (items, features), (told, untold) in zip(requests, lists, strict=True):
        here = [each.score for each in recommender.recommend(items, features=features)]
        np.testing.assert_allclose(told, here, rtol=0, atol=1e-5)
        here = [each.score for each in recommender.recommend(items)]
        np.testing.assert_allclose(untold, here, rtol=0, atol=1e-5)
