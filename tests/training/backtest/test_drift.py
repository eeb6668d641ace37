"""A model that is never trained again falls behind where items change, and nowhere else."""

from pathlib import Path
from typing import Any

import pytest

from jaxrec.cli.backtest import main
from jaxrec.files import read_json

WORLD = [
    *("--synthetic.users=500", "--synthetic.items=50", "--encoder=bow", "--history-length=5"),
    *("--embedding-dim=8", "--hidden-units=8", "--epochs=40"),
    *("--every=120d", "--weeks=3", "--until=2023-12-01"),
]


def last_period(folder: Path, drift: float) -> dict[str, Any]:
    """Return the figures of each variant in the last period, in a world with a drift."""
    assert main([*WORLD, f"--synthetic.drift={drift}", f"--backtest-dir={folder}"]) == 0
    return read_json(folder / "backtest.json")["periods"][-1]["variants"]


def recall(figures: dict[str, Any], name: str) -> float:
    return figures[name]["metrics"]["recall@10"]["mean"]


@pytest.mark.slow
def test_an_old_model_falls_behind_with_drift_and_not_without(tmp_path):
    drifting, stable = (last_period(tmp_path / str(drift), drift) for drift in (1.0, 0.0))
    assert recall(drifting, "never") < 0.6 * recall(drifting, "scratch")
    assert drifting["never"]["minus_scratch"]["recall@10"]["high"] < 0
    assert drifting["never"]["unknown_targets"] > 2 * drifting["scratch"]["unknown_targets"]
    # With more data, the newer model is somewhat better; eight months do not make it much better.
    assert recall(stable, "never") > 0.9 * recall(stable, "scratch")
    assert stable["never"]["unknown_targets"] == 0
