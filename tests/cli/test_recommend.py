"""The command `recommend`: lists for all users of a log, unknown items, one-line errors."""

import subprocess
import sys
from collections import defaultdict

import numpy as np
import polars as pl
import pytest

from jaxrec.cli import recommend
from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.data.gaps import GAP_EDGES
from jaxrec.runtime import Recommender, top_k
from jaxrec.schema import AGE, Feature
from tests import ROOT
from tests.bundles import make_bundle, save_bundle
from tests.cli.user_logs import make_log, write_lists
from tests.exports import call, run_script
from tests.small_models import SIZE, make_model

COLUMNS = {
    "user": pl.Int64,
    "place": pl.Int32,
    "item": pl.Int64,
    "score": pl.Float32,
    "title": pl.String,
}


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    return make_log()


def histories_of(log: pl.DataFrame) -> dict:
    """Group items by user, in order of time; Python's sort is stable."""
    histories = defaultdict(list)
    for user, item, _ in sorted(log.rows(), key=lambda row: row[2]):
        histories[user].append(item)
    return histories


def by_user(lists: pl.DataFrame) -> dict:
    rows = defaultdict(list)
    for user, rank, item, score, title in lists.rows():
        rows[user].append((rank, item, score, title))
    return rows


def test_lists_match_the_runtime_for_each_user(log, models, tmp_path):
    lists = write_lists(log, models["rnn"], tmp_path, "--k=7")
    assert dict(lists.schema) == COLUMNS
    recommender, rows = Recommender.load(models["rnn"]), by_user(lists)
    assert list(rows) == sorted(histories_of(log))
    for user, history in histories_of(log).items():
        found = recommender.recommend(history, k=7)
        expected = [(n, e.item, pytest.approx(e.score), e.title) for n, e in enumerate(found, 1)]
        assert rows[user] == expected


def test_csv_output_equals_parquet_output(log, models, tmp_path):
    lists = write_lists(log, models["bow"], tmp_path, "--k=3")
    log.write_csv(tmp_path / "log.csv")
    flags = [f"--model={models['bow']}", "--log=log.csv", "--k=3", "--out=deep/er/lists.CSV"]
    process = run_script("convert/recommend.py", *flags, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    assert process.stdout.splitlines() == [
        f"log.csv: {log.height:,} interactions of 100 users",
        "deep/er/lists.CSV: 300 rows",
    ]
    text = (tmp_path / "deep" / "er" / "lists.CSV").read_text()
    assert text.startswith("user,place,item,score,title\n")
    assert pl.read_csv(text.encode(), schema=COLUMNS).equals(lists)


def test_histories_are_sorted_by_time_and_then_by_row_order(log, models, tmp_path):
    lists = write_lists(log, models["rnn"], tmp_path)
    assert write_lists(
        log.sample(fraction=1, shuffle=True, seed=0), models["rnn"], tmp_path
    ).equals(lists)
    timeless = log.drop("timestamp")
    assert write_lists(timeless, models["rnn"], tmp_path, "--log.time=none").equals(lists)
    tied = log.with_columns(timestamp=pl.lit(1))
    assert write_lists(tied, models["rnn"], tmp_path).equals(lists)
    assert not write_lists(tied.reverse(), models["rnn"], tmp_path).equals(lists)


def test_unknown_items_are_skipped_and_counted(log, models, tmp_path):
    first, *_ = log["user"].unique().sort()
    not_in_model = pl.DataFrame(
        {"user": [first, 900, 901, 901], "item": [5, 5, 6, 5], "timestamp": [2**40] * 4}
    )
    lists = write_lists(log, models["cnn"], tmp_path)
    log.vstack(not_in_model).write_csv(tmp_path / "log.csv")
    flags = [f"--model={models['cnn']}", "--log=log.csv", "--out=lists.parquet"]
    process = call(recommend.main, *flags, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert "  unknown to the model: 2 items, in 4 interactions; they are ignored" in process.stdout
    assert "  2 users without known items get the popular items\n" in process.stdout
    rows = by_user(pl.read_parquet(tmp_path / "lists.parquet"))
    popular = Recommender.load(models["cnn"]).recommend([])
    assert [item for _, item, *_ in rows[900]] == [each.item for each in popular]
    assert rows[900] == rows[901]
    assert {user: rows[user] for user in by_user(lists)} == by_user(lists)


def test_ids_are_compared_as_text(log, models, tmp_path):
    lists = write_lists(log, models["bow"], tmp_path)
    as_text = log.with_columns(pl.col("user", "item").cast(pl.String))
    found = write_lists(as_text, models["bow"], tmp_path)
    assert found["user"].dtype == pl.String
    assert found.with_columns(pl.col("user").cast(pl.Int64)).sort("user", "place").equals(lists)


def test_columns_are_set_by_the_log_flags(log, models, tmp_path):
    lists = write_lists(log, models["bow"], tmp_path)
    names = {"user": "who", "item": "what", "timestamp": "when"}
    flags = ["--log.user=who", "--log.item=what", "--log.time=when"]
    assert write_lists(log.rename(names), models["bow"], tmp_path, *flags).equals(lists)


@pytest.mark.parametrize("keep_seen", [False, True])
def test_a_batch_model_and_k_beyond_its_top_k(tmp_path, monkeypatch, keep_seen):
    """Use three histories per call and few calls per block, and rank every item."""
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    raw = [f"item {number}" for number in range(SIZE)]
    shapes = Shapes(3, 5, 6, 4, keep_seen)
    model = save_bundle(make_bundle(make_model("rnn"), shapes, raw), tmp_path / "model.tflite")
    rng = np.random.default_rng(0)
    rows = [(user, raw[n], time) for user in range(20) for time, n in enumerate(rng.permutation(9))]
    log = pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row")
    monkeypatch.setattr(top_k, "_MAX_ENTRIES", 7 * SIZE)
    found = by_user(write_lists(log, model, tmp_path, f"--k={SIZE}"))
    recommender = Recommender.load(model)
    for user, history in histories_of(log).items():
        expected = recommender.recommend(history, k=SIZE)
        assert [item for _, item, *_ in found[user]] == [each.item for each in expected]
        assert [place for place, *_ in found[user]] == list(range(1, len(expected) + 1))
        assert len(expected) == (SIZE if keep_seen else SIZE - 9)


def test_features_of_the_model_are_unknown_and_reported(tmp_path):
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    features = (
        Feature(AGE, "activity", "age", len(GAP_EDGES)),
        Feature("user_income", "user", "number", 2, (1e3,)),
    )
    raw = [f"item {number}" for number in range(SIZE)]
    shapes = Shapes(3, 5, 6, 4, False)
    model = save_bundle(
        make_bundle(make_model("rnn", features=features), shapes, raw), tmp_path / "model.tflite"
    )
    rows = [(user, raw[5 * user + n], n) for user in range(4) for n in range(user + 1)]
    log = pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row")
    log.write_csv(tmp_path / "log.csv")
    flags = (f"--model={model}", "--log=log.csv", "--out=lists.parquet")
    process = call(recommend.main, *flags, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert "  unknown in these lists: age, user_income, which the model reads" in process.stdout
    found = by_user(pl.read_parquet(tmp_path / "lists.parquet"))
    recommender = Recommender.load(model)
    for user, history in histories_of(log).items():
        expected = recommender.recommend(history, k=10)
        assert [item for _, item, *_ in found[user]] == [each.item for each in expected]
        scores = [score for *_, score, _ in found[user]]
        np.testing.assert_allclose(scores, [each.score for each in expected], rtol=1e-5, atol=1e-5)


MISTAKES = {
    "no table": (["--out=lists.json"], "--out=lists.json is neither .parquet nor .csv"),
    "a folder": (["--out=folder.csv"], "--out=folder.csv is a folder"),
    "the log": (["--out=./log.csv"], "--out=log.csv is the log itself; give another file"),
    "no room": (["--out=/proc/lists.csv"], "/proc: "),
    "in the log": (["--log=logs", "--out=logs/deep/lists.parquet"], "is in the folder of the log"),
    "other parts": (["--out=full.csv"], "full.csv.parts contains other files; give another --out"),
    "no model": (["--model=none.tflite"], "none.tflite: No such file"),
    "another file": (["--model=log.csv"], "log.csv is not a jaxrec model"),
    "no log": (["--log=none.csv"], "none.csv"),
    "k of none": (["--k=0"], "--k=0 is out of range; give 1 to "),
    "k of more than all": (["--k=1000"], "--k=1000 is out of range; give 1 to "),
    "no column": (["--log.item=sku"], "no column 'sku'"),
    "other items": (
        ["--log.item=timestamp", "--log.time=none"],
        "has none of the items of log.csv",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_reported_in_one_line_and_writes_nothing(log, models, tmp_path, mistake):
    flags, message = MISTAKES[mistake]
    for folder in ("folder.csv", "logs", "full.csv.parts", "full.csv.parts/mine"):
        (tmp_path / folder).mkdir()
    log.with_columns(timestamp=-pl.col("timestamp")).write_csv(tmp_path / "log.csv")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    right = [f"--model={models['bow']}", "--log=log.csv", "--out=lists.csv"]
    given = {flag.split("=")[0]: flag for flag in [*right, *flags]}
    process = call(recommend.main, *given.values(), cwd=tmp_path)
    assert process.returncode == 2
    (line,) = process.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_it_needs_neither_jax_nor_tensorflow(log, models, tmp_path):
    log.write_csv(tmp_path / "log.csv")
    flags = [f"--model={models['bow']}", "--log=log.csv", "--out=lists.csv"]
    script = (
        f"import sys; from jaxrec.cli.recommend import main; assert main({flags!r}) == 0;"
        "others = ('jax', 'flax', 'tensorflow', 'orbax', 'litert_quantizer');"
        "print([name for name in others if name in sys.modules])"
    )
    process = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout.splitlines()[-1] == "[]"


def test_products_run_on_one_thread_each():
    """NumPy reads the setting when it is imported, which must come later."""
    script = (
        "import os, sys\n"
        "class Spy:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'numpy': print(os.environ.get('OPENBLAS_NUM_THREADS'))\n"
        "sys.meta_path.insert(0, Spy())\n"
        "from jaxrec.cli import main\n"
        "main(['recommend', '--k=many'])\n"
    )
    environment = {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", script]
    process = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    assert process.stdout == "1\n"


def test_the_command_starts_without_tensorflow(tmp_path):
    """Check the script itself: it does not need the packages of the export."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "find_spec = util.find_spec\n"
        "util.find_spec = lambda name: None if name == 'tensorflow' else find_spec(name)\n"
    )
    process = subprocess.run(
        [sys.executable, str(ROOT / "convert" / "recommend.py"), "--help"],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
