"""A custom head, which is a class and an entry in HEADS, from the log to both runtimes."""

from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jaxtyping import Float, Int

from jaxrec.cli import export, verify
from jaxrec.data.data_config import DataConfig
from jaxrec.data.head_labels import HeadRequest
from jaxrec.models.heads import HEADS
from jaxrec.models.heads.head import Head, ItemRows, Items, Logits, Queries
from jaxrec.runs.directory import RunDirectory
from jaxrec.runtime import Recommender
from jaxrec.schema import HeadSpec
from tests.browser import open_page, site
from tests.exports import call, run_train

pytest.importorskip("tensorflow", reason="needs the extra convert")
pytestmark = pytest.mark.slow


class Skip(Head):
    """Predicts whether the user skips an item."""

    signature = "skip"
    outputs = ("probability",)
    rule = "How likely the user skips an item."
    item_parameters = ("bias",)
    tolerance = MappingProxyType({"float32": 1e-5, "float16": 0.01, "int8": 0.2})

    def __init__(self, spec: HeadSpec, items: int, width: int, *, rngs: nnx.Rngs):
        self.values = spec.values
        self.taste = nnx.Linear(width, width, rngs=rngs)
        self.bias = nnx.Param(jnp.zeros(items + 1))

    def logits(self, query: Queries, items: Items, rows: ItemRows) -> Logits:
        return (jnp.sum(self.taste(query) * items, axis=-1) + rows["bias"])[..., None]

    def losses(self, logits: Logits, labels: Int[jax.Array, "*B"]) -> Float[jax.Array, "*B"]:
        signed = jnp.where(labels == 2, logits[..., 0], -logits[..., 0])
        return jnp.where(labels > 0, -jax.nn.log_sigmoid(signed), 0)

    def predict(self, logits: Logits) -> dict[str, jax.Array]:
        return {"probability": jax.nn.sigmoid(logits[..., 0])}


def log_of_skips() -> str:
    """Return a CSV log of users who like even or odd items and skip most of the others."""
    rng, rows = np.random.default_rng(0), []
    for user in range(300):
        is_other = rng.random(12) < 0.3
        items = 2 * rng.choice(40, 12, replace=False) + (user + is_other) % 2
        skips = is_other ^ (rng.random(12) < 0.05)
        rows += [
            f"{user},{item},{step},{skip:d}\n"
            for step, (item, skip) in enumerate(zip(items, skips, strict=True))
        ]
    return "user,item,timestamp,skipped\n" + "".join(rows)


# A user of odd items who skipped an even one; an odd, an even and an unknown candidate.
ASKED = ("skip", [1, 3, 5, 2, 7, 9], [11, 6, 999])
FEATURES = {"features": {"skipped": [0, 0, 0, 1, 0, 0]}}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunDirectory:
    folder = tmp_path_factory.mktemp("skips")
    (folder / "log.csv").write_text(log_of_skips())
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(HEADS, "skipped", Skip)
        requests = {"skipped": HeadRequest("--skips", "--skip-column", 1.0)}
        patch.setattr(DataConfig, "requested_heads", lambda config: requests)
        flags = ["--dataset=log.csv", "--activity-features=skipped", "--encoder=bow"]
        flags += ["--embedding-dim=8", "--hidden-units=16", "--epochs=15", "--learning-rate=0.05"]
        trained = run_train(*flags, "--train-on-validation", "--run-dir=run", cwd=folder)
        assert trained.returncode == 0, trained.stderr
        assert "skipped: 300 targets; concordance:" in trained.stdout
        converted = call(export.main, "--run-dir=run", cwd=folder)
        assert converted.returncode == 0, converted.stderr
        directory = RunDirectory(folder / "run")
        proven = call(verify.main, f"--model={directory.model_file}", cwd=folder)
        assert proven.returncode == 0, proven.stderr
        assert "skipped error" in proven.stdout
    return directory


def test_the_head_beats_item_means_and_biases(run):
    figures = run.summary().heads["skipped"]
    assert figures.keys() == {"bow", "user and item bias", "item mean"}
    others = [each.means["rmse"] for name, each in figures.items() if name != "bow"]
    assert figures["bow"].means["rmse"] < 0.8 * min(others)
    assert "skipped" not in HEADS


def test_the_python_runtime_predicts_with_the_head(run):
    recommender = Recommender.load(run.model_file)
    assert recommender.model["probability"] == [0, 1]
    assert recommender.model["rules"]["probability"] == Skip.rule
    odd, even, unknown = recommender.predict(*ASKED, **FEATURES)
    assert unknown is None and odd is not None and even is not None
    assert even["probability"] > 0.5 > odd["probability"]


def test_the_browser_runtime_predicts_with_the_head(run, browser, tmp_path):
    with site(tmp_path / "site", run.model_file) as served:
        (served.folder / "skip.tflite").write_bytes(run.model_file.read_bytes())
        page = browser.new_page()
        open_page(page, served.url)
        found = page.evaluate(
            """async (asked) => {
              const { Recommender } = await import('./jaxrec/recommender.js');
              const recommender = await Recommender.load('skip.tflite', { runtime: 'runtime' });
              const answer = await recommender.predict(...asked);
              return answer.map((each) => each && Array.from(each.probability));
            }""",
            [*ASKED, FEATURES],
        )
        page.close()
    recommender = Recommender.load(run.model_file)
    expected = recommender.predict(*ASKED, **FEATURES)
    for (ours,), theirs in zip(found[:2], expected, strict=False):
        assert theirs is not None
        assert ours == pytest.approx(theirs["probability"], abs=1e-5)
    assert found[2] is None
