"""New items in an export: they follow the trained ones and are embedded by their features."""

import random

import numpy as np
import pytest

from jaxrec.cli import export, verify
from jaxrec.conversion.restore import restore_run
from jaxrec.runtime import Recommender
from tests.exports import call, convert, run_train

pytestmark = pytest.mark.slow

BRANDS = "xyz"


def items_of(brand: str) -> list[str]:
    return [f"{brand}{number}" for number in range(8)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Train a run on a shop in which every user buys items of one brand."""
    folder = tmp_path_factory.mktemp("shop")
    chance = random.Random(0)
    rows, described = [], []
    for user in range(240):
        brand = BRANDS[user % 3]
        chosen = chance.sample(items_of(brand), 6)
        rows += [f"{user},{item},{step}\n" for step, item in enumerate(chosen)]
    for brand in BRANDS:
        described += [f"{item},Thing {item},{brand}\n" for item in items_of(brand)]
    (folder / "log.csv").write_text("user,item,timestamp\n" + "".join(rows))
    (folder / "items.csv").write_text("item,title,brand\n" + "".join(described))
    flags = ["--dataset=log.csv", "--items=items.csv", "--encoder=bow"]
    flags += [
        "--learning-rate=0.02",
        "--batch-size=4",
        "--history-length=4",
        "--embedding-dim=8",
        "--hidden-units=8",
    ]
    flags += ["--item-features=brand", "--id-dropout=0.3", "--epochs=15", "--patience=15"]
    process = run_train(*flags, "--run-dir=run", cwd=folder)
    assert process.returncode == 0, process.stderr
    (folder / "new.csv").write_text(
        "item,title,brand\nx-new,New of x,x\ny-new,New of y,y\nx0,Old,x\nw-new,New of w,w\n"
    )
    return folder


@pytest.fixture(scope="module")
def files(shop):
    """Return the file without the new items, the file with them, and the output of the latter."""
    for flags in ([], ["--new-items=new.csv", "--boost=0.5", "--export-dir=more"]):
        process = convert("--run-dir=run", "--top-k=20", *flags, cwd=shop)
        assert process.returncode == 0, process.stderr
    return shop / "run" / "export" / "model.tflite", shop / "more" / "model.tflite", process.stdout


@pytest.mark.filterwarnings("ignore")
def test_old_ids_are_unchanged_and_new_ids_follow_them(files):
    before, after = (Recommender.load(path) for path in files[:2])
    assert after.items == (*before.items, "x-new", "y-new", "w-new")
    assert after.catalogue[-3]["title"] == "New of x" and after.catalogue[-3]["id"] == 25
    vectors, more = before.vectors().vectors, after.vectors().vectors
    np.testing.assert_array_equal(more[: len(vectors)], vectors)
    np.testing.assert_allclose(
        before.score(["x1", "x2"], before.items), after.score(["x1", "x2"], before.items), atol=1e-5
    )


@pytest.mark.filterwarnings("ignore")
def test_a_new_item_is_recommended_to_users_of_its_brand(files):
    recommender = Recommender.load(files[1])
    for brand, new, other in (("x", "x-new", "y-new"), ("y", "y-new", "x-new")):
        found = [str(each.item) for each in recommender.recommend(items_of(brand)[:4], k=24)]
        of_others = [found.index(item) for item in found if item[0] not in brand]
        assert found.index(new) < min(of_others)
        assert found.index(other) > found.index(new)
    assert recommender.knows("x-new")
    assert {str(each.item)[0] for each in recommender.similar("x-new", k=5)} == {"x"}


def test_a_boost_raises_the_biases_of_new_items_alone(shop, files):
    table = shop / "new.csv"
    plain, boosted = (
        restore_run(shop / "run", table).model,
        restore_run(shop / "run", table, 0.5).model,
    )
    added = np.asarray(boosted.item_bias - plain.item_bias)
    np.testing.assert_allclose(added, [0] * 25 + [0.5] * 3, atol=1e-6)
    np.testing.assert_array_equal(boosted.item_table, plain.item_table)
    found = Recommender.load(files[1])
    np.testing.assert_allclose(found.vectors().biases, boosted.item_bias[1:], atol=1e-6)
    assert found.model["boost"] == 0.5


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--boost=1"], "--boost=1 needs --new-items"),
        (["--boost=101", "--new-items=new.csv"], "--boost=101 is out of range; give -100 to"),
        (["--boost=nan", "--new-items=new.csv"], "--boost=nan is out of range"),
    ],
)
def test_an_invalid_boost_is_refused(shop, flags, message):
    process = call(export.main, "--run-dir=run", *flags, cwd=shop)
    assert process.returncode == 2 and message in process.stderr


def test_the_added_items_are_reported(files):
    lines = files[2].splitlines()
    assert "new.csv: 3 new items" in lines
    assert "  in the run already, and not changed: 1" in lines
    assert "  note: unknown brand: 'w'" in lines
    assert "  note: without known feature values, and so with equal embeddings: 1" in lines


def test_verify_accepts_a_file_with_new_items(shop, files):
    flags = [f"--model={files[1]}", "--run-dir=run"]
    process = call(verify.main, *flags, "--new-items=new.csv", cwd=shop)
    assert process.returncode == 0, process.stderr
    process = call(verify.main, *flags, cwd=shop)
    assert process.returncode == 2 and "--new-items" in process.stderr


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("items.csv", "--new-items=items.csv has no new item"),
        ("missing.csv", "missing.csv is not a file; give --new-items"),
    ],
)
def test_an_invalid_table_of_new_items_is_refused_in_one_line(shop, table, message):
    process = call(export.main, "--run-dir=run", f"--new-items={table}", cwd=shop)
    assert process.returncode == 2
    assert message in process.stderr and process.stderr.count("\n") == 1


def test_a_run_without_item_features_refuses_new_items(runs, tmp_path):
    (tmp_path / "new.csv").write_text("item,title,brand\nx-new,New of x,x\n")
    process = call(export.main, f"--run-dir={runs['bow']}", "--new-items=new.csv", cwd=tmp_path)
    assert process.returncode == 2
    assert "train one with --item-features" in process.stderr
    assert process.stderr.count("\n") == 1
