"""Models that several test files of the page share: each is exported once."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def features_model(tmp_path_factory) -> Path:
    """Write a model with features of all kinds."""
    from tests.demo.features_page import FEATURES, save_model

    return save_model(tmp_path_factory.mktemp("features") / "features.tflite", FEATURES)


@pytest.fixture(scope="session")
def plain_model(tmp_path_factory) -> Path:
    """Write a model of the same items without features."""
    from tests.demo.features_page import save_model

    return save_model(tmp_path_factory.mktemp("plain") / "plain.tflite")


@pytest.fixture(scope="session")
def learning_model(runs, tmp_path_factory) -> Path:
    """Export a model that learns adapters."""
    from tests.demo.learning_page import export_learning_model

    return export_learning_model(runs, tmp_path_factory.mktemp("learning"))
