"""A custom encoder, registered in ENCODERS: training, export, verification, runtime, page."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Bool, Float
from playwright.sync_api import expect

from jaxrec.cli import export, verify
from jaxrec.models.encoders import ENCODERS
from jaxrec.models.encoders.base import Encoder
from jaxrec.runs.directory import RunDirectory
from jaxrec.runtime import Recommender
from tests.browser import open_page, recommended_items, site
from tests.exports import call, run_train

pytest.importorskip("tensorflow", reason="needs the extra convert")
pytestmark = pytest.mark.slow


class Decay(Encoder):
    """A weighted sum in which each activity has half the weight of the next."""

    def __init__(self, width_in: int, units: int, config: None, *, rngs):
        self.width = width_in

    def encode_positions(
        self,
        activities_BLE: Float[jax.Array, "B L E"],
        mask_BL: Bool[jax.Array, "B L"],
        history_length: int,
    ) -> Float[jax.Array, "B L E"]:
        # later_BLL[b, p, l] counts the valid activities after l, up to p.
        met_BL = jnp.cumsum(mask_BL, axis=1)
        later_BLL = (met_BL[:, :, None] - met_BL[:, None, :]).astype(jnp.float32)
        weights_BLL = jnp.where((later_BLL >= 0) & (later_BLL < history_length), 0.5**later_BLL, 0)
        return jnp.tril(weights_BLL) @ activities_BLE

    def encode_last(
        self, activities_BNE: Float[jax.Array, "B N E"], valid_BN: Float[jax.Array, "B N"]
    ) -> Float[jax.Array, "B E"]:
        length = valid_BN.shape[1]
        weights_N = 0.5 ** np.arange(length - 1, -1, -1, dtype=np.float32)
        return jnp.einsum("bne,n->be", activities_BNE, weights_N)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunDirectory:
    folder = tmp_path_factory.mktemp("decay")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENCODERS, "decay", Decay)
        flags = ["--encoder=decay", "--synthetic.users=300", "--synthetic.items=120"]
        flags += ["--embedding-dim=8", "--hidden-units=12", "--epochs=2", "--learning-rate=0.02"]
        trained = run_train(*flags, cwd=folder)
        assert trained.returncode == 0, trained.stderr
        assert "\ndecay " in trained.stdout
        converted = call(export.main, cwd=folder)
        assert converted.returncode == 0, converted.stderr
        directory = RunDirectory(folder / "runs" / "synthetic-decay-n10")
        proven = call(verify.main, f"--model={directory.model_file}", cwd=folder)
        assert proven.returncode == 0, proven.stderr
    return directory


def test_the_encoder_is_trained_exported_and_verified(run):
    assert run.summary().model.encoder == "decay"
    assert "decay" not in ENCODERS


def test_the_runtime_recommends_with_the_encoder(run):
    recommender = Recommender.load(run.model_file)
    assert recommender.model["encoder"] == "decay"
    items = run.catalogue()["item"].to_list()[:3]
    # The encoder depends on the order.
    assert recommender.recommend(items) != recommender.recommend(items[::-1])


def test_the_page_lists_the_encoder(run, browser, tmp_path):
    with site(tmp_path / "site", run.model_file) as served:
        page = browser.new_page()
        open_page(page, served.url)
        expect(page.locator("body")).to_contain_text("decay")
        expected = [str(each.item) for each in Recommender.load(run.model_file).recommend([])]
        assert recommended_items(page)[: len(expected)] == expected
        page.close()
