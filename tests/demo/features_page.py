"""The page with a model that has features of all kinds."""

from pathlib import Path

import pytest

from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.data.gaps import GAP_EDGES
from jaxrec.runtime import Recommender
from jaxrec.schema import AGE, Feature
from tests.browser import site
from tests.bundles import make_bundle, save_bundle
from tests.small_models import SIZE, make_model

FEATURES = (
    Feature("rating", "activity", "id", 5, (1, 2, 3, 4, 5)),
    Feature("device", "activity", "id", 2, ("web", "phone")),
    Feature("price", "activity", "number", 4, (-2.5, 0.0, 8.0)),
    Feature(AGE, "activity", "age", len(GAP_EDGES)),
    Feature("user_home_country", "user", "id", 2, ("fr", 33)),
    Feature("user_income", "user", "number", 3, (1e3, 2e6)),
    Feature("hour", "moment", "id", 24, tuple(range(24))),
    Feature("weekday", "moment", "id", 7, tuple(range(1, 8))),
)
_SHAPES = Shapes(1, 5, 20, 4, False)
RAW = [f"item {number}" for number in range(SIZE, 0, -1)]


def save_model(path: Path, features: tuple[Feature, ...] = ()) -> Path:
    """Write an untrained model with these features."""
    return save_bundle(make_bundle(make_model("rnn", features=features), _SHAPES, RAW), path)


@pytest.fixture(scope="module")
def recommender(features_model) -> Recommender:
    return Recommender.load(features_model)


@pytest.fixture(scope="module")
def server(tmp_path_factory, features_model):
    folder = tmp_path_factory.mktemp("page") / "site"
    with site(folder, features_model) as server:
        (folder / "features.tflite").write_bytes(features_model.read_bytes())
        yield server
