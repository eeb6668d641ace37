"""The pretrained models: they agree with their page and their model cards, and they run."""

import hashlib
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from demo.describe import describe_exports
from demo.exports import choose_exports
from jaxrec.data.sources.item_table import ItemTableConfig
from jaxrec.runtime import Recommender
from tests import ROOT

FOLDER = ROOT / "pretrained"
PAGE = (FOLDER / "README.md").read_text()
FILES = sorted(FOLDER.glob("*.tflite"))
SEEN = [1193, 661, 914, 3408, 2355]


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.stem)
def file(request) -> Path:
    return request.param


def test_there_are_two_small_models():
    assert [path.stem for path in FILES] == ["small-cnn", "small-rnn"]
    assert sum(path.stat().st_size for path in FILES) < 500_000


def test_the_page_lists_hash_size_and_recall(file):
    data = file.read_bytes()
    model = Recommender.load(file).model
    recall = model["evaluation"]["recall@10 through the file"]
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{file.name}`"))
    assert row.split(" | ")[1:] == [
        model["encoder"],
        f"{len(data):,}",
        f"{recall:.4f}",
        f"`{hashlib.sha256(data).hexdigest()}` |",
    ]


def test_model_json_records_the_parity_with_the_model(file):
    model = Recommender.load(file).model
    assert model["recipe"] == "int8"
    assert model["parity"]["overlap"] > 0.95
    protocol = model["evaluation"]["protocol"]
    assert (protocol["dataset"], protocol["split"], protocol["seed"]) == (
        "ml-1m",
        "leave-one-out",
        0,
    )
    assert protocol["test_users"] == 6040
    lost = model["recipes"]["float32"]["recall@10"] - model["recipes"]["int8"]["recall@10"]
    assert lost < 0.01 * model["recipes"]["float32"]["recall@10"]


def test_the_file_holds_only_ids_of_the_dataset(file):
    recommender = Recommender.load(file)
    assert recommender.model["described_items"] == 0
    assert all(
        each["title"] is each["genres"] is each["year"] is None for each in recommender.catalogue
    )
    with zipfile.ZipFile(file) as archive:
        assert "inside: none" in archive.read("MODEL_CARD.md").decode()
        text = b"".join(map(archive.read, archive.namelist())).decode()
    assert not re.search("Toy Story|Comedy|Thriller", text)


def test_the_models_recommend(file):
    recommender = Recommender.load(file)
    assert len(recommender.items) == 3416
    found = [each.item for each in recommender.recommend(SEEN)]
    assert len(set(found)) == 10
    assert not set(found) & set(SEEN)
    vectors, biases = recommender.vectors()
    scores = vectors @ recommender.encode(SEEN) + biases
    best = [recommender.items[number] for number in np.argsort(-scores)]
    assert [item for item in best if item not in SEEN][:3] == found[:3]


def test_similar_items_are_plausible():
    """Toy Story 2 (3114) and Aladdin (588) are among the ten films closest to Toy Story (1)."""
    similar = [each.item for each in Recommender.load(FOLDER / "small-rnn.tflite").similar(1, k=10)]
    assert {3114, 588} <= set(similar)


def test_a_page_shows_titles_of_an_item_table(tmp_path):
    table = tmp_path / "movies.dat"
    table.write_bytes("1193::Ein Film, größer als das Leben (1975)::Drama|War\n".encode("latin-1"))
    config = ItemTableConfig(columns="item,title,genres", encoding="latin-1")
    (shown,), output = describe_exports(choose_exports([FILES[1]]), str(table), config)
    assert "1 of 3,416 items described" in output
    (tmp_path / "shown.tflite").write_bytes(shown.data)
    entry = next(
        each
        for each in Recommender.load(tmp_path / "shown.tflite").catalogue
        if each["item"] == 1193
    )
    assert entry["title"] == "Ein Film, größer als das Leben (1975)"
    assert entry["genres"] == ["Drama", "War"]
