"""The compare command: figures, paired differences, and runs that cannot be compared."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from jaxrec.cli.compare import main
from jaxrec.config.toml_file import FORMAT
from jaxrec.data.vocabulary import Vocabulary
from jaxrec.files import read_json, write_arrays, write_json
from jaxrec.runs.comparison import differences, figures
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.ranks import Ranks, load_ranks, save_ranks


def ranked(ranks, users=None) -> Ranks:
    n = len(ranks)
    users = np.arange(n) if users is None else np.asarray(users)
    return Ranks(users, np.ones(n, int), np.asarray(ranks))


def test_a_difference_by_hand():
    # Hits at 10: 3 of 4 against 1 of 4.
    cells = differences(ranked([1, 10, 5, 11]), ranked([1, 11, 20, 30]))
    assert cells[0].startswith("+0.5000 [")
    mrr = (1 + 1 / 10 + 1 / 5 + 1 / 11) / 4 - (1 + 1 / 11 + 1 / 20 + 1 / 30) / 4
    assert cells[2].startswith(f"{mrr:+.4f} [")


def test_a_constant_difference_is_significant_and_no_difference_is_not():
    better, worse = ranked([1] * 50), ranked([2] * 50)
    assert [cell[-1] for cell in differences(better, worse)] == [" ", "*", "*"]
    assert differences(worse, better)[2] == "-0.5000 [-0.5000, -0.5000]*"
    assert differences(better, better) == ["+0.0000 [+0.0000, +0.0000] "] * 3


def test_pairing_detects_a_difference_within_the_intervals():
    """Users vary far more than the runs do, but a small consistent gain is significant."""
    rng = np.random.default_rng(0)
    ranks = rng.integers(1, 40, 2000)
    worse = np.where(rng.random(2000) < 0.05, ranks + 10, ranks)
    first, second = ranked(ranks), ranked(worse)
    (mean, half), (other, _) = (
        map(float, re.findall(r"[\d.]+", figures(each)[0])) for each in (first, second)
    )
    assert mean - other < half
    assert differences(first, second)[0].endswith("*")


def test_noise_is_marked_significant_at_the_nominal_rate():
    rng = np.random.default_rng(0)
    marks = 0
    for _ in range(60):
        first, second = (ranked(rng.integers(1, 40, 300)) for _ in range(2))
        marks += differences(first, second)[0].endswith("*")
    assert marks <= 8  # 3 of 60 are expected; 9 or more have a probability of about 1%


def test_users_are_resampled_with_all_their_targets():
    """Ten equal targets of a user carry the information of one."""
    users = np.repeat(np.arange(4), 10)
    single = differences(ranked([1, 1, 1, 20]), ranked([20, 1, 1, 1]))
    repeated = differences(
        ranked(np.repeat([1, 1, 1, 20], 10), users), ranked(np.repeat([20, 1, 1, 1], 10), users)
    )
    assert single == repeated


def test_finished_runs_are_compared(runs, capsys):
    paths = [str(runs[encoder]) for encoder in ("rnn", "bow")]
    assert main(paths) == 0
    text = capsys.readouterr().out
    assert "synthetic, leave-one-out: 600 targets of 600 test users" in text
    tests = [RunDirectory(runs[encoder]).summary().test.means for encoder in ("rnn", "bow")]
    for path, means in zip(paths, tests, strict=True):
        assert re.search(rf"{re.escape(path)} +{means['recall@10']:.4f} ±", text)
    gap = tests[0]["ndcg@10"] - tests[1]["ndcg@10"]
    assert f"{gap:+.4f} [" in text
    assert f"{paths[0]} - {paths[1]}" in text


def test_ranks_reproduce_the_recall_of_the_summary(runs):
    run = RunDirectory(runs["cnn"])
    recall = run.summary().test.means["recall@10"]
    assert np.mean(run.ranks().ranks <= 10) == pytest.approx(recall)


def test_ranks_survive_a_round_trip(tmp_path):
    ranks = replace(
        ranked([1, 5, 2]),
        without_target_time=np.array([2, 5, 3]),
        slices={"rated >= 4": np.array([1.0, 0, 1]), "graded": np.array([15.0, 0, 7])},
    )
    for each in (ranks, ranked([3, 4])):
        save_ranks(each, tmp_path / "ranks.npz")
        back = load_ranks(tmp_path / "ranks.npz")
        assert back.slices.keys() == each.slices.keys()
        for name, weights in each.slices.items():
            np.testing.assert_array_equal(back.slices[name], weights)
        for name in ("users", "targets", "ranks", "without_target_time"):
            np.testing.assert_array_equal(getattr(back, name), getattr(each, name))


def test_a_difference_of_a_slice_by_hand():
    first, second = ranked([1, 1, 1, 20]), ranked([20, 1, 20, 1])
    # Equal weights: one of the first two hits is the first run's alone. Gains: 3 of 3 + 1.
    assert differences(first, second, ["recall@10"], np.array([1.0, 1, 0, 0]))[0][:7] == "+0.5000"
    assert differences(first, second, ["recall@10"], np.array([0, 0, 3.0, 1]))[0][:7] == "+0.5000"
    assert figures(first, ["recall@10"], np.array([0, 0, 3.0, 1]))[0].startswith("0.7500 ±")


def test_slices_that_two_runs_share_are_compared(runs, copy, capsys):
    assert main([str(runs["rnn"]), str(copy)]) == 0
    text = capsys.readouterr().out
    assert "\nrated >= 4: " in text and "\ngraded: " in text
    run = RunDirectory(runs["rnn"])
    recall = run.summary().test.means["recall@10 (rated >= 4)"]
    assert re.search(rf"{re.escape(str(run.path))} +{recall:.4f} ±", text.split("\nrated >= 4")[1])
    # Neither run knows the time of the target.
    assert "a minute" not in text and "knows the target's time" not in text


def test_slices_that_differ_are_skipped(runs, copy, capsys):
    ranks = load_ranks(copy / "ranks.npz")
    other = {"rated >= 4": 1 - ranks.slices["rated >= 4"]}
    save_ranks(replace(ranks, slices=other), copy / "ranks.npz")
    assert main([str(runs["rnn"]), str(copy)]) == 0
    text = capsys.readouterr().out
    assert "rated" not in text and "graded" not in text


def test_a_run_that_knows_the_time_is_labelled_and_also_compared_without_it(runs, copy, capsys):
    summary = read_json(copy / "summary.json")
    summary["protocol"]["knows_target_time"] = True
    write_json(copy / "summary.json", summary)
    ranks = load_ranks(copy / "ranks.npz")
    save_ranks(replace(ranks, without_target_time=ranks.ranks + 1), copy / "ranks.npz")
    assert main([str(runs["bow"]), str(copy)]) == 0
    text = capsys.readouterr().out
    assert f"{copy}, knows the target's time - {copy}, target time unknown" in text
    assert f"{runs['bow']} - {copy}, target time unknown" in text
    assert "knows the target's time" not in text.splitlines()[0]
    assert "targets, a minute or more after the previous activity" in text


@pytest.fixture
def copy(runs, tmp_path):
    target = tmp_path / "copy"
    target.mkdir()
    for name in ("config.toml", "summary.json", "vocabulary.json", "ranks.npz"):
        shutil.copy(runs["bow"] / name, target / name)
    return target


def other_protocol(run):
    summary = read_json(run / "summary.json")
    summary["protocol"]["excludes_history"] = False
    write_json(run / "summary.json", summary)


def train_on_validation(run):
    summary = read_json(run / "summary.json")
    summary["protocol"]["train_on_validation"] = True
    write_json(run / "summary.json", summary)


def other_users(run):
    ranks = load_ranks(run / "ranks.npz")
    save_ranks(Ranks(ranks.users + 1, ranks.targets, ranks.ranks), run / "ranks.npz")


def other_items(run):
    vocabulary = RunDirectory(run).vocabulary()
    Vocabulary(vocabulary.values.reverse(), vocabulary.counts).save(run / "vocabulary.json")


def cut(run):
    (run / "ranks.npz").write_bytes((run / "ranks.npz").read_bytes()[:-40])


def uneven(run):
    ranks = load_ranks(run / "ranks.npz")
    arrays = {"users": ranks.users, "targets": ranks.targets[1:], "ranks": ranks.ranks}
    write_arrays(run / "ranks.npz", arrays)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_protocol, "has excludes_history False"),
        (train_on_validation, "has train_on_validation True"),
        (other_users, "was tested on other users or items"),
        (other_items, "was tested on other users or items"),
        (cut, "ranks.npz is damaged"),
        (uneven, "its arrays differ in length"),
        (lambda run: (run / "ranks.npz").unlink(), "ranks.npz is missing"),
        (lambda run: (run / "summary.json").unlink(), "summary.json is missing"),
    ],
)
def test_an_incomparable_run_is_refused_in_one_line(runs, copy, capsys, change, words):
    change(copy)
    assert main([str(runs["bow"]), str(copy)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_single_run_is_refused(runs, capsys):
    assert main([str(runs["bow"])]) == 2
    assert "a comparison needs two runs" in capsys.readouterr().err


def test_a_run_of_another_format_is_refused(runs, tmp_path, capsys):
    old = tmp_path / "old"
    shutil.copytree(runs["bow"], old)
    path = old / "config.toml"
    path.write_text(path.read_text().replace(f"format = {FORMAT}", "format = 5"))
    assert main([str(runs["rnn"]), str(old)]) == 2
    assert f"config.toml has run format 5, this version reads {FORMAT}" in capsys.readouterr().err
