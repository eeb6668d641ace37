"""A page that calls the JavaScript recommender of a trained model of each encoder."""

import pytest

from jaxrec.runs.directory import HELDOUT
from jaxrec.runs.heldout import load_heldout
from jaxrec.runtime import bundle
from jaxrec.schema import ITEM
from tests.browser import site
from tests.exports import ENCODERS

HISTORIES = 300
UNKNOWN = 10**9

LOAD = """
  const { Recommender } = await import('./jaxrec/recommender.js');
  const load = (url) => Recommender.load(url, { runtime: 'runtime' });
"""

_CALL = f"""async ([url, calls]) => {{ {LOAD}
  const recommender = await load(url);
  const results = [];
  for (const [method, ...values] of calls) {{
    const result = recommender[method](...values);
    results.push(await result.catch((error) => `${{error.name}}: ${{error.message}}`));
  }}
  recommender.close();
  return results;
}}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory, models):
    folder = tmp_path_factory.mktemp("page") / "site"
    with site(folder, *(models[encoder] for encoder in ENCODERS)) as server:
        for encoder, path in models.items():
            (folder / f"{encoder}.tflite").write_bytes(path.read_bytes())
        yield server


@pytest.fixture(scope="module")
def page(browser, server):
    page = browser.new_page()
    page.goto(f"{server.url}models.json")
    return page


@pytest.fixture(scope="module")
def histories(runs) -> list[list[int]]:
    """Return histories of raw items: held-out ones and edge cases."""
    items = bundle.read_bundle(runs["rnn"] / "export" / "model.tflite").items
    rows = load_heldout(runs["rnn"] / HELDOUT).history[ITEM]
    held_out = [[items[number - 1] for number in row if number] for row in rows]
    edge_cases = [
        [],
        items[:1],
        items[:3] * 4,
        items[:40],
        [-5, UNKNOWN, items[7], 0],
        items[::-1],
        items[7:],
    ]
    return [*held_out[: HISTORIES - len(edge_cases)], *edge_cases]


def call(page, url: str, *calls: tuple) -> list:
    """Call methods of a recommender in the browser; return errors as their name and message."""
    return page.evaluate(_CALL, [url, calls])


def items_of(recommendations: list[dict]) -> list:
    return [each["item"] for each in recommendations]
