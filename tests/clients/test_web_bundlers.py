"""Applications that install the package's tarball, built by Vite and esbuild, in a real browser."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo import npm
from jaxrec.runtime import Recommender
from tests import ROOT
from tests.clients.web_pages import HISTORY, MODEL, PACKAGE, expected_items, host
from tests.project.pages import blocks_of

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "deploy" / "web.md"
TOOLS = PACKAGE / "node_modules" / ".bin"
INDEX = """<!doctype html>
<title>App</title>
<ol id="list"></ol>
<script type="module" src="/main.js"></script>
"""
# Writes the items of a list into the page.
SHOW = """
const show = (list) => document.querySelector("#list").append(...list.map(({ item }) => {
  const row = document.createElement("li");
  row.textContent = item;
  return row;
}));
"""


def run_npm(*words: str, folder: Path) -> str:
    """Run npm, and return its output; skip the test without a network."""
    done = npm.run(*words, folder=folder, capture_output=True, check=False)
    if re.search("ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN", done.stderr):
        pytest.skip("needs the package registry")
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_tool(name: str, *words: str, folder: Path) -> None:
    """Run a locked bundler in the folder of an application."""
    done = npm.run(
        *("exec", "--prefix", str(PACKAGE), "--offline", "--", str(TOOLS / name), *words),
        folder=folder,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Pack the package, and install its tarball in an empty application."""
    folder = tmp_path_factory.mktemp("app")
    if not TOOLS.is_dir():
        run_npm("ci", "--ignore-scripts", folder=PACKAGE)
    run_npm("pack", "--pack-destination", str(folder), folder=PACKAGE)
    (tarball,) = folder.glob("jaxrec-*.tgz")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    run_npm("install", "--no-audit", "--prefer-offline", tarball.name, folder=folder)
    return folder


@pytest.fixture
def app(installed, tmp_path) -> Path:
    """Return the folder of an application with the installed packages, a page and a model."""
    # Vite resolves links, and would look for LiteRT.js beside the target.
    subprocess.run(["cp", "-rl", str(installed / "node_modules"), str(tmp_path)], check=True)
    (tmp_path / "package.json").write_text('{"private": true, "type": "module"}')
    (tmp_path / "index.html").write_text(INDEX)
    (tmp_path / "public").mkdir()
    shutil.copy(MODEL, tmp_path / "public" / "model.tflite")
    return tmp_path


def shown_items(browser, url: str) -> list[str]:
    """Open a page and return the items that it shows; fail on script errors."""
    page, errors = browser.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url)
    page.locator("li").nth(4).wait_for(timeout=60_000)
    items = page.locator("li").all_inner_texts()
    page.close()
    assert errors == []
    return items


EXPECTED = [str(item) for item in expected_items()]
CALL = f"await recommender.recommend({HISTORY}, 5)"
IN_PAGE = f"""import {{ Recommender }} from "jaxrec";
{SHOW}
const recommender = await Recommender.load("/model.tflite");
show({CALL});
"""
IN_WORKER = f"""import {{ WorkerRecommender }} from "jaxrec";
{SHOW}
const worker = new Worker(new URL("WORKER", import.meta.url), {{ type: "module" }});
const recommender = await WorkerRecommender.load(worker, "/model.tflite");
show({CALL});
"""


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(IN_PAGE, id="page"),
        pytest.param(IN_WORKER.replace("WORKER", "jaxrec/worker"), id="worker"),
        pytest.param(IN_WORKER.replace("WORKER", "./worker.js"), id="own-worker"),
    ],
)
def test_a_vite_build(browser, app, script):
    (app / "main.js").write_text(script)
    (app / "worker.js").write_text('import "jaxrec/worker";\n')
    run_tool("vite", "build", folder=app)
    with host(app / "dist") as url:
        assert shown_items(browser, url) == EXPECTED


def test_the_recipe_of_the_web_page(browser, app):
    """Follow the page: its script and its worker in one application."""
    script, worker = (block for block in blocks_of(PAGE, "js") if '"/model.tflite"' in block)
    (app / "main.js").write_text(script)
    (app / "second.js").write_text(worker)
    (app / "worker.js").write_text('import "jaxrec/worker";\n')
    (app / "index.html").write_text(f'{INDEX}<script type="module" src="/second.js"></script>\n')
    run_tool("vite", "build", folder=app)
    recommender = Recommender.load(MODEL)
    expected = [str(each.title or each.item) for each in recommender.recommend(items(3), 5)]
    page, messages = browser.new_page(), []
    page.on("console", lambda message: messages.append(message.text))
    with host(app / "dist") as url:
        page.goto(url)
        page.locator("br").nth(4).wait_for(state="attached", timeout=60_000)
        assert page.locator("body").inner_text().split("\n")[:5] == expected
        while not any(message.startswith("[Object") for message in messages):
            page.wait_for_timeout(50)
    page.close()


def items(count: int) -> list:
    return list(Recommender.load(MODEL).items[:count])


@contextmanager
def vite_server(folder: Path) -> Iterator[str]:
    """Start Vite's server for development, and yield its URL."""
    command = ["node", str(TOOLS / "vite"), "--host=127.0.0.1", "--port=0", "--clearScreen=false"]
    environment = {"PATH": npm_path(), "NO_COLOR": "1"}
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout
        lines = (re.search(r"http://127\.0\.0\.1:\d+/", line) for line in process.stdout)
        try:
            yield next(found[0] for found in lines if found)
        finally:
            process.terminate()


def npm_path() -> str:
    """Return a PATH on which programs of npm find Node.js."""
    return npm.run(
        "exec", "--offline", "-c", "echo $PATH", folder=PACKAGE, capture_output=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(IN_PAGE, id="page"),
        pytest.param(IN_WORKER.replace("WORKER", "./worker.js"), id="own-worker"),
    ],
)
def test_vite_s_development_server(browser, app, script):
    (app / "main.js").write_text(script)
    (app / "worker.js").write_text('import "jaxrec/worker";\n')
    with vite_server(app) as url:
        assert shown_items(browser, url) == EXPECTED


TYPED = """import { type Recommendation, Recommender, WorkerRecommender } from "jaxrec";
import { Recommender as NodeRecommender } from "jaxrec/node";

const recommender: Recommender = await NodeRecommender.load("model.tflite");
const list: Recommendation[] = await recommender.recommend([1], 5, { unknown: "popular" });
const title: string | null = list[0].title;
const there = await WorkerRecommender.load(new Worker("w.js"), new URL("http://a/b.tflite"));
const known: boolean = await there.knows(1);
const lists: Recommendation[][] = await there.recommendMany([[1]], 5, { exclude: [[2]] });
// @ts-expect-error: there is no such option.
await recommender.recommend([1], 5, { exlude: [1] });
// @ts-expect-error: a history is no string.
await there.recommend(12);
console.log(title, known, lists);
"""


def test_typescript_checks_calls_by_the_types_of_the_package(app):
    (app / "main.ts").write_text(TYPED)
    flags = [
        "--noEmit",
        "--strict",
        "--target",
        "esnext",
        "--module",
        "nodenext",
        "--types",
        "node",
    ]
    (app / "node_modules" / "@types").symlink_to(PACKAGE / "node_modules" / "@types")
    run_tool("tsc", *flags, "main.ts", folder=app)


@pytest.mark.parametrize("flags", [["--format=esm"], ["--format=iife"]])
def test_an_esbuild_build_is_given_the_runtime(browser, app, flags):
    site = app / "site"
    shutil.copytree(app / "public", site)
    (site / "index.html").write_text(INDEX)
    shutil.copytree(app / "node_modules" / "@litertjs" / "core" / "wasm", site / "litert")
    script = IN_PAGE.replace('"/model.tflite"', '"/model.tflite", { runtime: "/litert/" }')
    # A script that is no module has no await at its top.
    imports, rest = script.split("\n", 1)
    (app / "main.js").write_text(f"{imports}\n(async () => {{{rest}}})();\n")
    run_tool("esbuild", "main.js", "--bundle", "--outfile=site/main.js", *flags, folder=app)
    with host(site) as url:
        assert shown_items(browser, url) == EXPECTED


def test_an_esbuild_build_without_the_runtime_is_an_error_with_the_remedy(browser, app):
    site = app / "site"
    shutil.copytree(app / "public", site)
    (site / "index.html").write_text(INDEX)
    (app / "main.js").write_text(IN_PAGE)
    words = ["main.js", "--bundle", "--format=esm", "--outfile=site/main.js"]
    run_tool("esbuild", *words, folder=app)
    page, errors = browser.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    with host(site) as url:
        page.goto(url)
        while not errors:
            page.wait_for_timeout(50)
        assert errors[0].startswith(f"LiteRT cannot be loaded from {url}@litertjs/core/wasm/")
        assert "give its URL as the option `runtime`" in errors[0]
    page.close()


def test_a_classic_worker_that_esbuild_builds(browser, app):
    site = app / "site"
    shutil.copytree(app / "public", site)
    (site / "index.html").write_text(INDEX)
    shutil.copytree(app / "node_modules" / "@litertjs" / "core" / "wasm", site / "litert")
    (app / "worker.js").write_text('import "jaxrec/worker";\n')
    script = IN_WORKER.replace('new URL("WORKER", import.meta.url), { type: "module" }', '"/w.js"')
    script = script.replace('"/model.tflite"', '"/model.tflite", { runtime: "/litert/" }')
    (app / "main.js").write_text(script)
    for words in (
        ["worker.js", "--bundle", "--format=iife", "--outfile=site/w.js"],
        ["main.js", "--bundle", "--format=esm", "--outfile=site/main.js"],
    ):
        run_tool("esbuild", *words, folder=app)
    with host(site) as url:
        assert shown_items(browser, url) == EXPECTED
