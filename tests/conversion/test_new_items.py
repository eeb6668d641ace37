"""New items in an export: they follow the trained ones and are embedded by their features."""

import random
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

import jaxrec
from jaxrec.cli import export, verify
from jaxrec.conversion.boost import BoostEffect, describe_boost
from jaxrec.conversion.restore import restore_run
from jaxrec.runtime import Recommender
from jaxrec.runtime.bundle import read_bundle
from jaxrec.schema import ITEM, PAD
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


def test_old_ids_are_unchanged_and_new_ids_follow_them(files):
    before, after = (Recommender.load(path) for path in files[:2])
    assert after.items == (*before.items, "x-new", "y-new", "w-new")
    assert after.catalogue[-3]["title"] == "New of x" and after.catalogue[-3]["id"] == 25
    vectors, more = before.vectors().vectors, after.vectors().vectors
    np.testing.assert_array_equal(more[: len(vectors)], vectors)
    np.testing.assert_allclose(
        before.score(["x1", "x2"], before.items), after.score(["x1", "x2"], before.items), atol=1e-5
    )


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


def recall_and_share(run, boost: float | None, table) -> tuple[float, float]:
    """Rank every held-out target of a run; return recall@10, and the share of lists with new items.

    Args:
        boost: of the new items; None: there are none.
    """
    source = restore_run(run) if boost is None else restore_run(run, table, boost)
    heldout, hits, listed = source.heldout, 0, 0
    query = source.model.encode_last({ITEM: jnp.asarray(heldout.history[ITEM])})
    scores = np.array(source.model.scores(query))
    for row, target in enumerate(heldout.target):
        scores[row, [PAD, *heldout.seen.gather(np.array([row])).ids]] = -np.inf
        hits += np.sum(scores[row] >= scores[row, target]) <= 10
        listed += (np.argsort(-scores[row], kind="stable")[:10] > 24).any()
    return hits / len(heldout.target), listed / len(heldout.target)


@pytest.mark.parametrize(("cost", "boost"), [(None, None), (0.3, None), (None, 100.0)])
def test_a_boost_is_found_that_costs_the_others_what_is_allowed(
    shop, tmp_path, capsys, cost, boost
):
    folder, run, table = tmp_path / "export", shop / "run", tmp_path / "many.csv"
    lines = [f"new-{number},New {number},{'xyz'[number % 3]}\n" for number in range(40)]
    table.write_text("item,title,brand\n" + "".join(lines))
    given = {"new_items": table, "new_items_cost": cost, "boost": boost}
    jaxrec.export(run, export_dir=folder, recipe="float32", **given)
    model, printed = read_bundle(folder / "model.tflite").model, capsys.readouterr().out
    interval = tuple(model["new_items"]["cost_interval"])
    effect = BoostEffect(**{**model["new_items"], "cost_interval": interval})
    assert (effect.items, effect.boost) == (40, model["boost"])
    before, _ = recall_and_share(run, None, table)
    after, share = recall_and_share(run, effect.boost, table)
    assert (effect.recall_without, effect.recall_with) == pytest.approx((before, after))
    assert effect.cost == pytest.approx(1 - after / before)
    assert effect.lists_with_new_items == pytest.approx(share) and share > 0
    if boost is None:
        allowed = 0.01 if cost is None else cost
        assert effect.allowed_cost == allowed and effect.cost <= allowed
        more, everywhere = recall_and_share(run, effect.boost + 0.01, table)
        assert 1 - more / before > allowed or share == everywhere == 1
    else:
        assert (effect.boost, effect.allowed_cost) == (boost, None)
        assert (effect.cost, interval, effect.lists_with_new_items) == (1, (1, 1), 1)
    said = describe_boost(effect)
    with zipfile.ZipFile(folder / "model.tflite") as archive:
        card = archive.read("MODEL_CARD.md").decode()
    assert said in printed and said in card
    assert ("--boost=0 leaves the scores" in printed) == (cost is boost is None)
    assert jaxrec.verify(folder / "model.tflite", run_dir=run, new_items=table).histories > 200


def test_the_effect_of_a_given_boost_is_measured_too(files):
    effect = read_bundle(files[1]).model["new_items"]
    assert (effect["boost"], effect["allowed_cost"], effect["items"]) == (0.5, None, 3)
    assert "with 0.5 added to the scores of 3 new items" in files[2]
    assert read_bundle(files[0]).model["new_items"] is None


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--boost=1"], "--boost=1 needs --new-items"),
        (["--new-items-cost=0.1"], "--new-items-cost=0.1 needs --new-items"),
        (
            ["--new-items-cost=0.1", "--boost=1", "--new-items=new.csv"],
            "--boost and --new-items-cost exclude each other; omit one of them",
        ),
        (["--new-items-cost=1", "--new-items=new.csv"], "--new-items-cost=1 is out of range; give"),
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
