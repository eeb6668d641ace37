"""The configuration of a log: the name of its dataset."""

import pytest

from jaxrec.data.data_config import DataConfig


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("synthetic", "synthetic"),
        ("some/log.csv", "log"),
        ("log.2024.csv.gz", "log.2024"),
        ("shop/part-*.parquet", "shop"),
        ("a/logs/", "logs"),
    ],
)
def test_the_name_of_the_dataset(dataset, name):
    assert DataConfig(dataset=dataset).name == name
