"""Python and JavaScript on the pages of the docs: it runs, and both runtimes agree."""

import json
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from jaxrec.cli import main, train
from jaxrec.conversion.flatbuffer import finalize_graph
from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.data.gaps import GAP_EDGES
from jaxrec.files import as_json
from jaxrec.models.adapter import AdaptConfig
from jaxrec.runtime import Recommender
from jaxrec.runtime.bundle import MODEL, pack_bundle, parse_bundle, read_members
from jaxrec.schema import AGE, Feature
from tests import ROOT
from tests.browser import site
from tests.bundles import make_bundle, save_bundle
from tests.clients.web_pages import host, write_modules
from tests.exports import small_log
from tests.project.pages import STUDIES, blocks_of, commands_of_page
from tests.small_models import SIZE, make_model


def run_python(page: Path, *replacements: tuple[str, str]) -> dict[str, Any]:
    """Run all Python blocks of a page in the working directory, and return their namespace."""
    names: dict[str, Any] = {}
    for block in blocks_of(page, "python"):
        for old, new in replacements:
            block = block.replace(old, new)
        exec(compile(block, str(page), "exec"), names)
    return names


@pytest.mark.slow
def test_the_python_of_the_readme_recommends(tmp_path, monkeypatch, capsys):
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    monkeypatch.chdir(tmp_path)
    columns = {"user": "customer", "item": "sku", "timestamp": "bought_at"}
    small_log().rename(columns).write_csv("log.csv")
    run_python(ROOT / "README.md")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "log.csv: 720 rows, 60 users, 20 items"
    assert any(line.startswith("popularity") for line in lines)
    assert lines[-1].count("Recommendation(") == 5


@pytest.mark.slow
def test_the_python_of_the_churn_page_writes_logs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_python(ROOT / "docs" / "churn.md")
    whole, before = (pl.read_parquet(f"{name}.parquet") for name in ("log", "log97"))
    assert before.height == int(0.97 * whole.height) > 100_000
    assert {*before.rows()} < {*whole.rows()}


@pytest.fixture
def exported(tmp_path, monkeypatch, models) -> Path:
    """Copy a model and its facts to the working directory, as the pages name them."""
    monkeypatch.chdir(tmp_path)
    for name in ("model.tflite", "model.json"):
        shutil.copy(models["rnn"].parent / name, name)
    return tmp_path


def test_the_python_page_recommends(exported, capsys):
    names = run_python(ROOT / "docs" / "deploy" / "python.md")
    assert len(capsys.readouterr().out.splitlines()) == 5
    recommender = names["recommender"]
    expected = recommender.score([names["first"]], recommender.items)
    assert names["scores"] == pytest.approx(expected, abs=1e-4)


def write_next(file: Path, target: Path) -> None:
    """Write a copy of a model whose sequence is one more."""
    content = file.read_bytes()
    members = read_members(content)
    model = json.loads(members[MODEL])
    members[MODEL] = as_json({**model, "sequence": model["sequence"] + 1})
    target.write_bytes(pack_bundle(parse_bundle(content, file).graph, members))


def test_the_server_page_answers_requests_and_updates(exported):
    testclient = pytest.importorskip("fastapi.testclient", reason="needs the extra server")
    write_next(Path("model.tflite"), Path("new.tflite"))
    names = run_python(ROOT / "docs" / "deploy" / "server.md")
    assert Path("model.tflite").read_bytes() == Path("new.tflite").read_bytes()
    assert names["recommender"].model["sequence"] == 2
    recommender, client = names["recommender"], testclient.TestClient(names["app"])
    assert [len(each) for each in names["lists"]] == [5, 5, 5]

    history = list(recommender.items[:2])
    answer = client.post("/recommend", json={"history": history, "k": 3})
    expected = [each.to_dict() for each in recommender.recommend(history, k=3)]
    assert (answer.status_code, answer.json()) == (200, expected)
    popular = [each.to_dict() for each in recommender.recommend([])]
    assert client.post("/recommend", json={"history": ["no such item"]}).json() == popular
    refused = client.post("/recommend", json={"history": history, "k": 0})
    assert refused.status_code == 400 and refused.json()["error"].startswith("k=0 is out of range")
    assert client.post("/recommend", json={"history": "12"}).status_code == 422


def test_the_page_on_updating_updates_and_rolls_back(exported, capsys):
    pytest.importorskip("cryptography", reason="needs the extra sign")
    model, before, download = map(Path, ("model.tflite", "before.tflite", "download.tflite"))
    assert main(["sign", "--new-key=release.pem"]) == 0
    write_next(model, download)
    assert main(["sign", "--key=release.pem", str(model), str(download)]) == 0
    shutil.copy(model, before)
    capsys.readouterr()
    names = run_python(ROOT / "docs" / "deploy" / "updating.md")
    assert capsys.readouterr().out == "updated to 2\n"
    assert names["recommender"].model["sequence"] == 1
    assert model.read_bytes() == before.read_bytes()
    names["update"](download)
    names["update"](before)
    download.write_bytes(b"")
    names["update"](download)
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == "updated to 2"
    assert second.startswith("kept 2 before.tflite is older than the model in use: sequence 1")
    assert third.startswith("kept 2 download.tflite is not a jaxrec model, or is truncated")


@pytest.mark.slow
def test_the_python_of_on_device_learning_adapts_and_adapts_again(tmp_path):
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    from jaxrec.conversion.graph.export import export_model

    raw = [f"item {number}" for number in range(SIZE)]
    config = AdaptConfig(activities=20, held_out=4)
    shapes = Shapes(1, 5, 6, 4, False)
    for name in ("first", "second"):
        model = make_model("bow" if name == "first" else "rnn")
        plain = make_bundle(model, shapes, raw)
        graph = finalize_graph(export_model(model, shapes, config), first="recommend")
        learning = replace(plain, graph=graph, model={**plain.model, "adapt": asdict(config)})
        save_bundle(learning, tmp_path / name)
    for_you = run_python(ROOT / "docs" / "deploy" / "on-device-learning.md")["for_you"]
    history = raw[:15]
    found, stored = for_you(str(tmp_path / "first"), history, None)
    assert len(found) == 5
    assert for_you(str(tmp_path / "first"), history, stored) == (found, stored)
    _, again = for_you(str(tmp_path / "second"), history, stored)
    assert json.loads(again)["model"] != json.loads(stored)["model"]


def test_the_python_of_your_data_reads_a_log(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text("customer,sku,timestamp\nann,7,3\nbob,8,4\n")
    log = run_python(ROOT / "docs" / "your-data.md")["log"]
    assert (log.rows, log.users, log.items) == (2, 2, 2)
    assert "2 2 2" in capsys.readouterr().out


@pytest.mark.slow
def test_the_python_of_the_quality_study_writes_two_logs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_python(STUDIES / "quality" / "README.md")
    assert pl.read_csv("log.csv")["user"].n_unique() == 3000
    assert Path("ml-100k/u.data").is_file() and Path("ml-100k/u.item").is_file()


def write_interactions(folder: Path) -> None:
    """Write one log of ratings in the formats of the libraries that migrating.md names."""
    rows = [
        (user, (user + step) % 20, 1 + step % 5, 881_250_949 + 1000 * user + step)
        for user in range(30)
        for step in range(10)
    ]
    log = pl.DataFrame(rows, ["user_id", "item_id", "rating", "timestamp"], orient="row")
    titles = [(f"{item}", f"Film {item}", "Comedy Drama") for item in range(20)]
    items = pl.DataFrame(titles, ["item_id", "movie_title", "class"], orient="row")
    inter = {name: f"{name}:token" for name in ("user_id", "item_id")}
    floats = {name: f"{name}:float" for name in ("rating", "timestamp")}
    log.rename(inter | floats).write_csv(folder / "ml-100k.inter", separator="\t")
    described = {"item_id": "item_id:token", "movie_title": "movie_title:token_seq"}
    described["class"] = "class:token_seq"
    items.rename(described).write_csv(folder / "items.inter", separator="\t")
    weights = log.rename({"rating": "weight"})
    weights.select(
        "user_id", "item_id", "weight", pl.from_epoch("timestamp").alias("datetime")
    ).write_parquet(folder / "interactions.parquet")
    sessions = log.group_by("user_id").agg(
        pl.col("item_id").alias("item_id-list"), pl.col("timestamp").alias("timestamp-list")
    )
    sessions.rename({"user_id": "session_id"}).write_parquet(folder / "sessions.parquet")
    log.select(
        pl.col("user_id").cast(pl.String),
        pl.format("Film {}", "item_id").alias("movie_title"),
        "timestamp",
        pl.col("rating").alias("user_rating"),
    ).write_parquet(folder / "ratings.parquet")


def test_the_logs_of_other_libraries_are_read(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_interactions(tmp_path)
    page = ROOT / "docs" / "migrating.md"
    run_python(page)
    dry_runs = [words for words in commands_of_page(page) if "--dry-run" in words]
    logs = [word for words in dry_runs for word in words if word.startswith("--dataset=")]
    assert len(logs) == 5
    for words in dry_runs:
        if "--dataset=log.csv" in words:
            continue
        assert train.main(words[2:]) == 0
        assert "300 rows in, 300 kept: interactions of 30 users with 20 items" in (
            capsys.readouterr().out
        )


def javascript_of_the_web_page() -> list[str]:
    return blocks_of(ROOT / "docs" / "deploy" / "web.md", "js")


def test_the_javascript_of_the_web_page_recommends(tmp_path, models, browser):
    (block,) = [each for each in javascript_of_the_web_page() if "recommendMany" in each]
    write_modules(tmp_path / "lib")
    shutil.copy(models["rnn"], tmp_path)
    (tmp_path / "example.js").write_text(block.replace('"jaxrec"', '"./lib/jaxrec/src/index.js"'))
    (tmp_path / "index.html").write_text("<!doctype html>")
    page, messages = browser.new_page(), []
    page.on("console", lambda message: messages.append(message))
    with host(tmp_path) as url:
        page.goto(url)
        page.evaluate("import('./example.js')")
        page.close()
    # A missing icon is a message too.
    assert sum(each.location["url"].endswith("example.js") for each in messages) == 7


RECOMMEND_IN_PAGE = """async ([seen, country]) => {
  const { Recommender } = await import('./jaxrec/recommender.js');
  const { nextFor } = await import('./example.js');
  const recommender = await Recommender.load('model.tflite', { runtime: 'runtime' });
  const now = Date.now();
  const times = seen.map(([item, rating, ago]) => ({ item, rating, when: now - 1000 * ago }));
  return (await nextFor(recommender, times, country)).map(({ score }) => score);
}"""


def test_the_features_of_the_pages_match_the_runtime(tmp_path, browser):
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    features = (
        Feature("rating", "activity", "id", 5, (1, 2, 3, 4, 5)),
        Feature(AGE, "activity", "age", len(GAP_EDGES)),
        Feature("user_country", "user", "id", 2, ("fr", "de")),
    )
    raw = [f"item {number}" for number in range(SIZE)]
    model = make_bundle(make_model("rnn", features=features), Shapes(1, 5, 6, 4, False), raw)
    recommender = Recommender.load(save_bundle(model, tmp_path / "model.tflite"))
    history = [(raw[3], 5, 5000), (raw[8], None, 90)]
    given_features = {"rating": [5, None], "age": [5000, 90], "user_country": "de"}
    expected = recommender.recommend([raw[3], raw[8]], k=5, features=given_features)

    deploy = ROOT / "docs" / "deploy"
    python_page = deploy / "python.md"
    (python,) = [block for block in blocks_of(python_page, "python") if "def next_for" in block]
    names: dict[str, Any] = {"recommender": recommender}
    exec(compile(python, str(python_page), "exec"), names)
    now = time.time()
    times = [(item, rating, now - ago) for item, rating, ago in history]
    assert names["next_for"](times, "de") == expected

    with site(tmp_path / "site", tmp_path / "model.tflite") as served:
        shutil.copy(tmp_path / "model.tflite", served.folder)
        (block,) = [each for each in javascript_of_the_web_page() if "nextFor" in each]
        (served.folder / "example.js").write_text(block)
        tab = browser.new_page()
        tab.goto(f"{served.url}models.json")
        scores = tab.evaluate(RECOMMEND_IN_PAGE, [history, "de"])
        tab.close()
    assert scores == pytest.approx([each.score for each in expected], abs=1e-5)
