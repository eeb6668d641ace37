"""README and docs: commands parse, Python and JavaScript examples run, links have targets."""

import ast
import importlib
import itertools
import json
import re
import shlex
import shutil
import threading
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from functools import cache
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from jaxrec.cli import COMMANDS, train
from jaxrec.cli.command_line import parse
from jaxrec.cli.train import RunFlags
from jaxrec.config.fields import flag_of
from jaxrec.conversion.flatbuffer import finalize_graph
from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.data.gaps import GAP_EDGES
from jaxrec.errors import UserError
from jaxrec.models.adapter import AdaptConfig
from jaxrec.runtime import Recommender
from jaxrec.schema import AGE, Feature
from tests import ROOT
from tests.browser import site
from tests.bundles import make_bundle, save_bundle
from tests.exports import small_log
from tests.small_models import SIZE, make_model

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PAGES += [ROOT / "pretrained" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Pages of the documentation site alone: its list of pages, and the API reference.
SITE_PAGES = {ROOT / "docs" / "index.md", *(ROOT / "docs" / "api").glob("*.md")}
STUDIES = ROOT / "experiments" / "studies"
PAGES += [STUDIES / "README.md"]
FLOWER = ROOT / "examples" / "flower" / "README.md"
# Linked from pages of the docs.
RECIPES = ROOT / "experiments" / "recipes" / "README.md"
INNER_PAGES = [FLOWER, RECIPES, *sorted(STUDIES.glob("*/README.md"))]
# The length of a page in words; layout.md is generated.
WORD_LIMITS = {
    "README.md": 700,
    "docs/your-data.md": 1800,
    "docs/models.md": 1200,
    "docs/results.md": 1500,
    "docs/file-format.md": 900,
    "docs/gallery.md": 500,
    **{
        f"docs/{name}.md": 1000
        for name in ("architecture", "migrating", "protocol", "scale", "training-step")
    },
    **{
        f"docs/deploy/{name}.md": 900
        for name in ("android", "ios", "on-device-learning", "python", "server", "web")
    },
}
GENERATED = "docs/layout.md"
# Larger pictures are slow to load.
MAX_PICTURE_BYTES = 100_000
SCRIPTS = [
    path.relative_to(ROOT).as_posix()
    for room in ("experiments", "experiments/studies/*", "demo", "examples/flower")
    for path in sorted(ROOT.glob(f"{room}/*.py"))
    if "\nmain = command(" in path.read_text()
]
# Scripts that call `jaxrec COMMAND`, by path.
ENTRY_SCRIPTS = {
    path.relative_to(ROOT).as_posix(): found[1]
    for room in ("experiments", "convert")
    for path in sorted((ROOT / room).glob("*.py"))
    if (found := re.search(r'main\(\["(.*)", \*sys', path.read_text()))
}
# Commands that forward their unknown flags to run.py.
FORWARDING_COMMANDS = ("sweep",)
# The flags of Flower's commands that check.py passes, and so tests.
FLOWER_FLAGS = set(
    re.findall(r"--[a-z][a-z-]*", (ROOT / "examples" / "flower" / "check.py").read_text())
)
CI = (ROOT / ".ci" / "run").read_text().splitlines()
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

each_page = pytest.mark.parametrize(
    "page", PAGES + INNER_PAGES, ids=lambda path: str(path.relative_to(ROOT))
)


@cache
def tokens(page: Path) -> list[Token]:
    """Parse a page into block tokens, each followed by its inline tokens."""
    blocks = MarkdownIt("commonmark").enable("table").parse(page.read_text())
    return [each for block in blocks for each in (block, *(block.children or ()))]


def blocks_of(page: Path, language: str) -> list[str]:
    return [each.content for each in tokens(page) if each.type == "fence" and each.info == language]


def code_words(page: Path) -> list[str]:
    return [each.content for each in tokens(page) if each.type == "code_inline"]


def statements(block: str) -> Iterator[list[str]]:
    """Yield the words of each command in a shell block, without comments, with loops unrolled."""
    loops: dict[str, list[str]] = {}
    for line in block.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&")
        lexer.whitespace_split = True
        for is_end, group in itertools.groupby(lexer, lambda word: set(word) <= set(";&")):
            words = list(group)
            if words[0] in ("do", "done"):
                del words[0]
            if is_end or not words:
                continue
            if words[0] == "for":
                loops[words[1]] = words[3:]
                continue
            used = [name for name in loops if any(f"${name}" in word for word in words)]
            for values in itertools.product(*(loops[name] for name in used)):
                filled = words
                for name, value in zip(used, values, strict=True):
                    filled = [word.replace(f"${name}", value) for word in filled]
                yield filled


def commands_of_page(page: Path) -> list[list[str]]:
    """Return every command of a page, from shell blocks and from inline code."""
    inline = [text for text in code_words(page) if text.startswith(("python ", "jaxrec "))]
    return [words for text in (*blocks_of(page, "sh"), *inline) for words in statements(text)]


def commands_of_docstrings() -> list[list[str]]:
    """Return the commands on indented lines of module docstrings."""
    rooms = ("jaxrec", "experiments", "convert", "demo", "examples")
    found = []
    for path in [path for room in rooms for path in modules(room)]:
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        for line in re.findall(
            r"^ {4}((?:python|jaxrec) .*)$", docstring.replace("\\\n", " "), re.M
        ):
            found += statements(line)
    return found


def modules(room: str) -> list[Path]:
    paths = sorted((ROOT / room).rglob("*.py"))
    return [path for path in paths if "node_modules" not in path.parts]


def flags_class(command: str) -> type:
    """Return the dataclass of a command's flags, by the command's name or script."""
    name = ENTRY_SCRIPTS.get(command, command)
    script = name.removesuffix(".py").replace("/", ".")
    module = importlib.import_module(COMMANDS[name].module if name in COMMANDS else script)
    (found,) = [
        each
        for name, each in vars(module).items()
        if name.endswith("Flags") and each.__module__ == module.__name__
    ]
    return found


def flags_of(kind: type) -> set[str]:
    """Return the flags of a dataclass and of its nested dataclasses."""
    found = set()
    for each in fields(kind):
        inner = each.default_factory() if callable(each.default_factory) else None
        found |= flags_of(type(inner)) if is_dataclass(inner) else {flag_of(kind, each.name)}
    return found


def check_command(words: Sequence[str]) -> None:
    """Check that a command is known and that its flags parse.

    Raises:
        UserError: a flag is unknown or its value is invalid.
        AssertionError: the command is not among the known ones.
    """
    match words:
        case _ if shlex.join(words) in CI:
            pass
        case ["python", "docs/write_layout.py"]:
            assert (ROOT / words[1]).is_file()
        case ["python", "demo/npm.py", "run", name]:
            assert name in json.loads((ROOT / "demo" / "package.json").read_text())["scripts"]
        case ["python", script, *given] if script in ENTRY_SCRIPTS:
            check_command(["jaxrec", ENTRY_SCRIPTS[script], *given])
        case ["python" | "jaxrec", name, *given]:
            assert name in (COMMANDS if words[0] == "jaxrec" else SCRIPTS), f"{name} is no command"
            kind, given = (
                flags_class(name),
                [word for word in given if not word.startswith("--help")],
            )
            own = flags_of(kind)
            if name in FORWARDING_COMMANDS:
                parse(RunFlags, [word for word in given if word.split("=")[0] not in own])
                given = [word for word in given if word.split("=")[0] in own]
            parse(kind, given)
        case ["pip", "install", "-c", "constraints.txt", "-e", extra]:
            assert extra.removeprefix(".[").removesuffix("]") in EXTRAS, extra
        case ["pytest", *given]:
            paths = [word for word in given if word.startswith("tests/")]
            assert all((ROOT / path).exists() for path in paths), paths
        case [".ci/run"]:
            assert (ROOT / ".ci" / "run").is_file()
        case ["python3", "-m", "venv", folder]:
            assert folder in (".venv", ".venv-flower")
        case [".", ".venv/bin/activate" | ".venv-flower/bin/activate"]:
            pass
        case ["pip", "install", "-r", requirements, "-e", extra]:
            assert (ROOT / requirements).is_file()
            assert extra.removeprefix(".[").removesuffix("]") in EXTRAS, extra
        case ["export", *variables]:
            assert all("=" in each for each in variables), variables
        case ["flwr" | "flower-superlink" | "flower-supernode", *given]:
            flags = {word.split("=")[0] for word in given if word.startswith("--")}
            assert flags <= FLOWER_FLAGS, flags - FLOWER_FLAGS
        case _:
            raise AssertionError(f"nobody knows whether {shlex.join(words)} works")


@each_page
def test_every_command_of_a_page_parses(page):
    for words in commands_of_page(page):
        check_command(words)


def test_every_command_of_a_docstring_parses():
    for words in commands_of_docstrings():
        check_command(words)


def test_commands_are_extracted_from_pages_and_docstrings():
    on_pages = [shlex.join(words) for page in PAGES for words in commands_of_page(page)]
    in_docstrings = [shlex.join(words) for words in commands_of_docstrings()]
    assert len(set(on_pages)) > 40
    assert len(set(in_docstrings)) > 12
    assert on_pages[0] == "pip install -c constraints.txt -e '.[train]'"
    assert on_pages[1] == "python experiments/run.py --encoder=rnn"
    unrolled = "python convert/to_tflite.py --run-dir=runs/ml-1m-small-cnn --recipe=int8 "
    assert unrolled + "--export-dir=runs/ml-1m-small-cnn/int8" in on_pages


@pytest.mark.parametrize("command", [*SCRIPTS, *COMMANDS])
def test_every_command_is_shown_on_a_page_and_in_its_own_docstring(command):
    ways = {command, *(script for script, name in ENTRY_SCRIPTS.items() if name == command)}
    pages = PAGES + INNER_PAGES
    assert any(ways & set(words) for page in pages for words in commands_of_page(page))
    assert any(command in words for words in commands_of_docstrings())


@pytest.mark.parametrize(
    "command",
    [
        "python experiments/run.py --no-such-flag=1",
        "python experiments/run.py --epochs=0",
        "python experiments/sweep.py --no-such-flag=1",
        "python experiments/no_such_command.py",
        "pip install -c constraints.txt -e '.[none]'",
        "pytest tests/test_nothing.py",
        "make everything",
    ],
)
def test_an_invalid_command_is_detected(command):
    with pytest.raises((UserError, AssertionError)):
        for words in statements(command):
            check_command(words)


@each_page
def test_every_flag_in_the_text_exists(page):
    known = {"--help", "--help-all"}.union(
        *(flags_of(flags_class(script)) for script in [*SCRIPTS, *COMMANDS])
    )
    known |= FLOWER_FLAGS if page == FLOWER else set()
    named = re.findall(r"(?<!\S)--[a-z][a-z.-]*[a-z]", "\n".join(code_words(page)))
    assert [flag for flag in named if flag not in known] == []


@each_page
def test_commands_are_in_shell_blocks(page):
    for block in blocks_of(page, ""):
        assert not re.search(r"^(python|pip|pytest) ", block, flags=re.MULTILINE)


@each_page
def test_every_link_has_an_existing_target(page):
    for each in tokens(page):
        target = str(each.attrGet("href") or each.attrGet("src") or "")
        if not target or ":" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub generates for the headings of a page."""
    found, all_tokens = set(), tokens(page)
    for heading, text in itertools.pairwise(all_tokens):
        if heading.type == "heading_open":
            kept = re.sub(r"[^\w\- ]", "", text.content.lower())
            found.add(kept.replace(" ", "-"))
    return found


def test_the_readme_links_to_every_page():
    readme = ROOT / "README.md"
    targets = {each.attrGet("href") for each in tokens(readme)}
    documents = set(PAGES) - {readme} | set((ROOT / "docs").rglob("*.ipynb"))
    documents -= SITE_PAGES
    assert documents and {path.relative_to(ROOT).as_posix() for path in documents} <= targets


@pytest.mark.parametrize("page", WORD_LIMITS)
def test_a_page_is_at_most_as_long_as_its_limit(page):
    assert len((ROOT / page).read_text().split()) <= WORD_LIMITS[page]


def test_every_page_of_the_docs_has_a_limit():
    paths = {*(ROOT / "docs").rglob("*.md")} - SITE_PAGES
    pages = {path.relative_to(ROOT).as_posix() for path in paths}
    assert pages - {GENERATED} == {page for page in WORD_LIMITS if page.startswith("docs/")}


def test_every_picture_of_the_docs_is_shown_and_small():
    pictures = set((ROOT / "docs").rglob("*.png"))
    shown = {
        (page.parent / str(each.attrGet("src"))).resolve()
        for page in PAGES
        for each in tokens(page)
        if each.attrGet("src")
    }
    assert pictures and pictures <= shown
    assert all(path.stat().st_size < MAX_PICTURE_BYTES for path in pictures)


def test_the_docs_link_to_every_example_and_study():
    targets = {
        (page.parent / str(each.attrGet("href"))).resolve()
        for page in PAGES
        for each in tokens(page)
        if each.attrGet("href")
    }
    assert set(INNER_PAGES) <= targets


def test_the_page_of_a_study_shows_its_command_and_its_figures():
    studies = [path for path in STUDIES.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert len(studies) >= 5
    for study in studies:
        page = study / "README.md"
        shown = {each.attrGet("src") for each in tokens(page) if each.type == "image"}
        assert shown == {picture.name for picture in study.glob("*.png")}, page
        scripts = [path for path in SCRIPTS if (ROOT / path).parent == study]
        typed = {word for words in commands_of_page(page) for word in words}
        assert scripts and typed & set(scripts), page
        for picture in shown:  # a script writes the figure under this name
            assert any(f'"{picture}"' in (ROOT / path).read_text() for path in scripts), picture


@each_page
def test_names_imported_on_a_page_exist(page):
    for block in blocks_of(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names), node.module


def run_python(page: Path, *replacements: tuple[str, str]) -> dict[str, Any]:
    """Run all Python blocks of a page in the working directory, and return their namespace."""
    names: dict[str, Any] = {}
    for block in blocks_of(page, "python"):
        for old, new in replacements:
            block = block.replace(old, new)
        exec(compile(block, str(page), "exec"), names)
    return names


def test_the_python_of_the_readme_recommends(tmp_path, monkeypatch, capsys):
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    monkeypatch.chdir(tmp_path)
    columns = {"user": "customer", "item": "sku", "timestamp": "bought_at"}
    small_log().rename(columns).write_csv("log.csv")
    run_python(ROOT / "README.md")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "log.csv: 720 rows, 60 users, 20 items"
    assert any(line.startswith("popularity") for line in said)
    assert said[-1].count("Recommendation(") == 5


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


def test_the_server_page_answers_requests_and_updates(exported):
    names = run_python(ROOT / "docs" / "deploy" / "server.md", ("8080", "0"))
    recommender, server = names["recommender"], names["server"]
    assert [len(each) for each in names["lists"]] == [5, 5, 5]

    def post(body: str) -> tuple[int, Any]:
        connection = HTTPConnection(*server.server_address)
        connection.request("POST", "/", body)
        response = connection.getresponse()
        answer = response.status, json.loads(response.read())
        connection.close()
        return answer

    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        history = list(recommender.items[:2])
        status, found = post(json.dumps({"history": history, "k": 3}))
        wanted = recommender.recommend(history, k=3)
        assert (status, [each["item"] for each in found]) == (200, [each.item for each in wanted])
        for wrong in ("no JSON", "{}", "[]", '{"history": ["no such item"]}'):
            status, answer = post(wrong)
            assert status == 400 and answer["error"]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

    model, new, facts = Path("model.tflite"), Path("new.tflite"), Path("model.json")
    new.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"new\.tflite is not what model\.json describes"):
        names["update"](model, new, facts)
    shutil.move(model, new)
    assert names["update"](model, new, facts).items == recommender.items
    assert model.is_file() and not new.exists()


@pytest.mark.filterwarnings("ignore")
def test_the_python_of_on_device_learning_adapts_and_adapts_again(tmp_path):
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    from jaxrec.conversion.graph.export import export_model

    raw = [f"item {number}" for number in range(SIZE)]
    config = AdaptConfig(activities=20, held_back=4)
    shapes = Shapes(1, 5, 6, 4, False)
    for name in ("first", "second"):
        model = make_model("bow" if name == "first" else "rnn")
        plain = make_bundle(model, shapes, raw)
        graph = finalize_graph(export_model(model, shapes, config), first="recommend")
        learning = replace(plain, graph=graph, model={**plain.model, "adapt": asdict(config)})
        save_bundle(learning, tmp_path / name)
    for_you = run_python(ROOT / "docs" / "deploy" / "on-device-learning.md")["for_you"]
    seen = raw[:15]
    found, stored = for_you(str(tmp_path / "first"), seen, None)
    assert len(found) == 5
    assert for_you(str(tmp_path / "first"), seen, stored) == (found, stored)
    _, again = for_you(str(tmp_path / "second"), seen, stored)
    assert json.loads(again)["model"] != json.loads(stored)["model"]


def test_the_python_of_your_data_reads_a_log(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text("customer,sku,timestamp\nann,7,3\nbob,8,4\n")
    log = run_python(ROOT / "docs" / "your-data.md")["log"]
    assert (log.rows, log.users, log.items) == (2, 2, 2)
    assert "2 2 2" in capsys.readouterr().out


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


def test_the_javascript_of_the_web_page_recommends(tmp_path, models, browser):
    block, _ = blocks_of(ROOT / "docs" / "deploy" / "web.md", "js")
    with site(tmp_path / "site", models["rnn"]) as place:
        shutil.copy(models["rnn"], place.folder)
        (place.folder / "example.js").write_text(block)
        page, messages = browser.new_page(), []
        page.on("console", lambda message: messages.append(message))
        page.goto(f"{place.url}models.json")
        page.evaluate("import('./example.js')")
        page.close()
    # The runtime logs messages too.
    assert sum(each.location["url"].endswith("example.js") for each in messages) == 7


RECOMMEND_IN_PAGE = """async ([seen, country]) => {
  const { Recommender } = await import('./recommender.js');
  const { nextFor } = await import('./example.js');
  const bytes = new Uint8Array(await (await fetch('model.tflite')).arrayBuffer());
  const recommender = await Recommender.load(bytes);
  const now = Date.now();
  const times = seen.map(([item, rating, ago]) => ({ item, rating, when: now - 1000 * ago }));
  return (await nextFor(recommender, times, country)).map(({ score }) => score);
}"""


@pytest.mark.filterwarnings("ignore")
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
    seen = [(raw[3], 5, 5000), (raw[8], None, 90)]
    told = {"rating": [5, None], "age": [5000, 90], "user_country": "de"}
    wanted = recommender.recommend([raw[3], raw[8]], k=5, features=told)

    deploy = ROOT / "docs" / "deploy"
    python_page, web_page = deploy / "python.md", deploy / "web.md"
    (python,) = [block for block in blocks_of(python_page, "python") if "def next_for" in block]
    names: dict[str, Any] = {"recommender": recommender}
    exec(compile(python, str(python_page), "exec"), names)
    now = time.time()
    times = [(item, rating, now - ago) for item, rating, ago in seen]
    assert names["next_for"](times, "de") == wanted

    with site(tmp_path / "site", tmp_path / "model.tflite") as place:
        shutil.copy(tmp_path / "model.tflite", place.folder)
        (place.folder / "example.js").write_text(blocks_of(web_page, "js")[1])
        tab = browser.new_page()
        tab.goto(f"{place.url}models.json")
        scores = tab.evaluate(RECOMMEND_IN_PAGE, [seen, "de"])
        tab.close()
    assert scores == pytest.approx([each.score for each in wanted], abs=1e-5)
