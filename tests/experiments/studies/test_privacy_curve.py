"""The privacy-curve study: table and plot of known figures, and a small resumable run."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from experiments.studies.populations import populations
from experiments.studies.privacy_curve import privacy_curve
from experiments.studies.privacy_curve.privacy_curve import ModelFigures, draw, render
from jaxrec.cli import train as run_command
from jaxrec.runs.ranks import Ranks
from tests.exports import call

SMALL = ["--encoder=bow", "--embedding-dim=8", "--hidden-units=8", "--epochs=1", "--batch-size=16"]
ROUNDS = ["--rounds=2", "--clients=15", "--local-steps=1", "--epsilons=100,20"]
OTHERS = ["--run-dir=shipped", "--dataset=cut/others.csv"]

needs_dp_accounting = pytest.mark.skipif(
    find_spec("dp_accounting") is None, reason="needs the extra federated"
)


def make_figures(
    name: str, ranks: list[int], validation: list[float], **privacy: float
) -> ModelFigures:
    known = {"noise": None, "epsilon": None} | privacy
    users = np.arange(len(ranks))
    return ModelFigures(
        name,
        test=Ranks(users, users + 1, np.array(ranks)),
        validation={10 * number: each for number, each in enumerate(validation)},
        **known,
    )


SHIPPED = make_figures("as shipped", [11, 11, 11, 1], [0.2])
TAUGHT = [
    make_figures("epsilon 2", [11, 11, 11, 1], [0.2, 0.3], noise=1.25, epsilon=2.0),
    make_figures("no noise", [1, 1, 1, 1], [0.2, 0.5]),
]


def test_differences_are_relative_to_the_shipped_model():
    _, _, shipped, noisy, best = render(SHIPPED, TAUGHT, None).splitlines()
    assert shipped == "| as shipped |  | 0.2500 | 0.2500 |  |  |"
    assert noisy.startswith("| epsilon 2 | 1.25 | 0.2500 | 0.2500 | +0.0000 [+0.0000, +0.0000] |")
    assert best.startswith("| no noise |  | 1.0000 | 1.0000 | +0.7500 [")


def test_the_plot_has_a_point_per_epsilon_and_a_curve_per_model():
    ceiling = make_figures("ceiling", [1, 1, 1, 1], [0.6])
    by_epsilon, by_round = draw(SHIPPED, TAUGHT, ceiling, "a title").axes
    points, *levels = (np.asarray(line.get_xydata()).tolist() for line in by_epsilon.lines)
    assert points == [[2.0, 0.25]]
    assert [line[0][1] for line in levels] == [0.25, 1.0, 1.0]
    curves = (np.asarray(line.get_xydata()).tolist() for line in by_round.lines)
    shipped, reached, noisy, best = curves
    assert (shipped[0][1], reached[0][1]) == (0.2, 0.6)
    assert noisy == [[0, 0.2], [10, 0.3]] and best == [[0, 0.2], [10, 0.5]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Split a synthetic log in two, and train a model on one half and one on both."""
    folder = tmp_path_factory.mktemp("curve")
    world = ["--synthetic.users=120", "--synthetic.items=40", "--drift=1", "--out=cut"]
    everybody = ["--dataset=cut/everybody.csv", "--min-item-interactions=1"]
    for main, flags in (
        (populations.main, world),
        (run_command.main, [*SMALL, "--dataset=cut/shipped.csv", "--run-dir=shipped"]),
        (run_command.main, [*SMALL, *everybody, "--run-dir=everybody"]),
        (run_command.main, [*SMALL, "--synthetic.items=30", "--run-dir=strange"]),
    ):
        process = call(main, *flags, cwd=folder)
        assert process.returncode == 0, process.stderr
    return folder


@pytest.mark.slow
@needs_dp_accounting
def test_the_curve_is_drawn_and_finished_trainings_are_reused(folder):
    flags = [*OTHERS, *ROUNDS, "--ceiling=everybody", "--folder=curve"]
    process = call(privacy_curve.main, *flags, cwd=folder)
    assert process.returncode == 0, process.stderr
    table = (folder / "curve" / "table.md").read_text()
    assert table in process.stdout
    rows = [[cell.strip() for cell in line.split("|")] for line in table.splitlines()[2:]]
    assert [row[1] for row in rows] == [
        *("as shipped", "epsilon 20", "epsilon 100", "no noise", "ceiling"),
    ]
    assert float(rows[1][2]) > float(rows[2][2]) > 0 and rows[3][2] == ""
    plot = folder / "curve" / "recall_vs_epsilon.png"
    assert plot.read_bytes().startswith(b"\x89PNG")

    modified = {path: path.stat().st_mtime_ns for path in (folder / "curve").rglob("summary.json")}
    assert len(modified) == 3
    plot.unlink()
    process = call(privacy_curve.main, *flags, cwd=folder)
    assert process.returncode == 0, process.stderr
    assert plot.exists() and (folder / "curve" / "table.md").read_text() == table
    assert modified == {path: path.stat().st_mtime_ns for path in modified}

    # Finished trainings of another source model are rejected.
    process = call(privacy_curve.main, "--run-dir=everybody", *flags[1:], cwd=folder)
    assert process.returncode == 2 and process.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--epsilons=some"], "--epsilons=some is not a list of numbers, as in 1,8"),
        (["--epsilons=0"], "--epsilon=0 is out of range"),
        pytest.param(
            ["--epsilons=8,0.001", "--clients=50", "--rounds=5000"],
            "--epsilon=0.001 cannot be reached",
            marks=needs_dp_accounting,
        ),
        (["--epsilon=8"], "--epsilon and --noise-multiplier do not apply here; give --epsilons"),
        (["--run-dir=cut"], "cut is not a run directory"),
        pytest.param(["--ceiling=cut"], "cut is not a run directory", marks=needs_dp_accounting),
        pytest.param(
            ["--ceiling=strange"],
            "--ceiling=strange has other targets or candidates than",
            marks=needs_dp_accounting,
        ),
    ],
)
def test_a_mistake_is_a_one_line_error_and_writes_nothing(folder, flags, message):
    flags = [*OTHERS, *ROUNDS, "--folder=never", *flags]
    process = call(privacy_curve.main, *flags, cwd=folder)
    assert process.returncode == 2 and message in process.stderr, process.stderr
    assert process.stderr.count("\n") == 1
    assert not (folder / "never").exists()


def test_the_ceiling_needs_a_dataset(folder):
    flags = ["--run-dir=shipped", "--ceiling=everybody"]
    process = call(privacy_curve.main, *flags, cwd=folder)
    assert process.returncode == 2 and "needs --dataset" in process.stderr
