"""Target weights: parsing of --target-weight, normalization, batches, errors and reports."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.config.experiment import TrainConfig
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset, prepare
from jaxrec.data.target_weights import effective_sample_size
from jaxrec.errors import UserError
from jaxrec.runs.directory import RunDirectory
from jaxrec.training.windows import training_batches
from tests.exports import run_train
from tests.small_data import data_config, log_of

COLUMNS = ("user", "item", "timestamp", "rating", "event", "weight")
# Validation and test targets are the last two activities of users with at least three.
ROWS = [
    ("u", 1, 1, 5.0, "view", 0.5),
    ("u", 2, 2, 3.0, "view", 2.0),
    ("u", 3, 3, 1.0, "buy", 0.0),
    ("u", 4, 4, 3.0, "view", 7.0),
    ("u", 5, 5, 5.0, "buy", 7.0),
    ("v", 1, 1, 3.0, "buy", 1.5),
]


def dataset_of(rows=ROWS, columns=COLUMNS, **config: Any) -> Dataset:
    return prepare(log_of(rows, columns), data_config(**config), seed=0)


def weights_of(target_weight: str | None, rows=ROWS, **config: Any) -> np.ndarray:
    weights = dataset_of(rows, target_weight=target_weight, **config).weights
    assert weights is not None
    assert weights.dtype == np.float32
    return weights


def test_a_weight_column_is_normalized_to_mean_one():
    # The four training targets weigh 0.5, 2, 0 and 1.5: the mean is already 1.
    assert weights_of("weight").tolist() == [0.5, 2.0, 0.0, 0.0, 0.0, 1.5]


@pytest.mark.parametrize("target_weight", ["rating:1=0,3=1,5=2", "rating:5.0=4,1.00=0,3=2.0"])
def test_numeric_values_are_matched_as_numbers(target_weight):
    # The training targets are rated 5, 3, 1 and 3.
    assert weights_of(target_weight).tolist() == [2.0, 1.0, 0.0, 0.0, 0.0, 1.0]


def test_text_values_are_matched_as_text():
    np.testing.assert_allclose(
        weights_of("event:view=1,buy=2"), np.array([1, 1, 2, 0, 0, 2]) / 1.5, rtol=1e-6
    )


@pytest.mark.parametrize("scale", [1e-300, 1e308])
def test_weights_are_relative_at_any_scale(scale):
    found = weights_of(f"rating:1=0,3={scale / 2},5={scale}")
    assert found.tolist() == [2.0, 1.0, 0.0, 0.0, 0.0, 1.0]


def test_without_the_flag_there_are_no_weights():
    assert dataset_of().weights is None


def test_weights_do_not_change_split_and_vocabulary():
    plain, weighed = dataset_of(), dataset_of(target_weight="rating:1=0,3=0,5=1")
    np.testing.assert_array_equal(plain.split.is_training_target, weighed.split.is_training_target)
    assert plain.vocabulary.digest == weighed.vocabulary.digest
    np.testing.assert_array_equal(plain.vocabulary.counts, weighed.vocabulary.counts)


def test_weights_may_be_missing_for_activities_that_are_never_targets():
    rows = [(*row[:5], row[5] if row[4] == "buy" else None) for row in ROWS * 2]
    rows = [(*row[:2], time, *row[3:]) for time, row in enumerate(rows)]
    weights_of("weight", rows, target_events="buy")
    weights_of("event:buy=2", target_events="buy", rows=rows)
    with pytest.raises(UserError, match="the column is empty, for user 'u' and item 1, and in 5"):
        weights_of("weight", rows)


def test_the_effective_sample_size_matches_a_value_computed_by_hand():
    # (1 + 1 + 2)^2 / (1 + 1 + 4)
    assert effective_sample_size(np.array([1, 0, 1, 2], np.float32)) == pytest.approx(16 / 6)


@given(
    weights=st.lists(st.just(0.0) | st.floats(1e-3, 1e6), min_size=2, max_size=20).filter(any),
    scale=st.floats(1e-3, 1e3),
)
def test_the_effective_sample_size_is_bounded_and_scale_invariant(weights, scale):
    found = effective_sample_size(np.array(weights, np.float32))
    assert 1 - 1e-6 <= found <= np.count_nonzero(np.array(weights, np.float32)) * (1 + 1e-6)
    again = effective_sample_size(np.array(weights, np.float32) * np.float32(scale))
    assert again == pytest.approx(found, rel=1e-3)


@given(
    weights=st.lists(st.floats(0, 1e9, width=32), min_size=18, max_size=18).filter(
        lambda weights: sum(weights[:4] + weights[6:10] + weights[12:16]) > 1e-3
    )
)
def test_batches_contain_target_weights_of_mean_one(weights):
    rows = [(i // 6, i + 1, i, weight) for i, weight in enumerate(weights)]
    dataset = dataset_of(rows, ("user", "item", "timestamp", "weight"), target_weight="weight")
    assert dataset.weights is not None
    learned = dataset.split.is_training_target
    assert dataset.weights[learned].mean() == pytest.approx(1, rel=1e-5)
    assert not dataset.weights[~learned].any()
    # Each item occurs once, so that its id determines the weight.
    by_id = dict(zip(dataset.timelines.items.tolist(), dataset.weights, strict=True)) | {0: 0.0}
    batches = training_batches(
        dataset, DataConfig(target_weight="weight"), TrainConfig(batch_size=2)
    )
    for number in range(batches.dispatches_per_epoch):
        batch = batches.dispatch(number)
        assert batch.weights.dtype == np.float32
        expected = [by_id[target] for target in batch.targets.ravel().tolist()]
        np.testing.assert_array_equal(batch.weights.ravel(), np.array(expected, np.float32))


@pytest.mark.parametrize(
    ("target_weight", "message"),
    [
        ("colour", "--target-weight: unknown column 'colour'; available: rating, event, weight"),
        (
            "event",
            "--target-weight=event has 'view', for user 'u' and item 1, and in 5 more of 6",
        ),
        ("event:buy=1", r"event has no weight for view \(3 rows\); give each"),
        ("rating:1=0,5=2", r"rating has no weight for 3 \(3 rows\)"),
        (
            "rating:1=0,2=0,3=1,5=2",
            r"'2' does not occur; the log has 3 \(3 rows\), 5 \(2 rows\), 1 \(1 rows\)",
        ),
        ("event:view=1,buy=2,byu=3", r"'byu' does not occur; the log has (view|buy) \(3 rows\)"),
        ("rating:1=0,3=1,good=2,5=1", "'good' does not occur"),
        ("rating:1=0,3=1,5=2,5.0=1", "'5' is repeated"),
        ("rating:1=0,3=1,3=2", "has '3=2'; give each value once"),
        ("rating:1=0,3", "has '3'; give each value once, with its weight"),
        ("rating:1=0,=3", "has '=3'; give each value once"),
        ("rating:1=-1,3=0,5=0", "has the weight '-1'; give a number, zero or more"),
        ("rating:1=nan,3=0,5=0", "has the weight 'nan'"),
        ("rating:1=inf,3=0,5=0", "has the weight 'inf'"),
        ("rating:1=much,3=0,5=0", "has the weight 'much'"),
        ("rating:1=0,3=0,5=0", "all 4 training targets have weight zero"),
        ("item:1=2", "'item' is not a column of ratings, events or weights"),
        ("timestamp", "'timestamp' is not a column of ratings"),
        ("", "'' is not a column of ratings"),
    ],
)
def test_invalid_target_weights_are_rejected(target_weight, message):
    with pytest.raises(UserError, match=message) as error:
        dataset_of(target_weight=target_weight)
    assert "\n" not in str(error.value)


def test_a_negative_weight_is_rejected_with_its_row():
    rows = [*ROWS, ("v", 2, 2, 3.0, "buy", -0.5)]
    with pytest.raises(UserError, match=r"weight has -0\.5, for user 'v' and item 2; a weight is"):
        dataset_of(rows, target_weight="weight")


def test_weights_of_filtered_values_are_accepted():
    weights_of("rating:1=0,3=1,5=2", min_rating=2)


LOG = [
    f"{user},{(user * step) % 23},{step},{step % 5 + 1},{'buy' if step % 3 else 'view'}\n"
    for user in range(1, 30)
    for step in range(9)
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "log.csv").write_text("user,item,timestamp,stars,kind\n" + "".join(LOG))
    return tmp_path


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--target-weight=star"], "has no column 'star'"),
        (["--target-weight=stars:1=1"], "has no weight for 2 ("),
        (
            ["--target-weight=kind:sell=1"],
            "'sell' does not occur; the log has buy (174 rows), view (87",
        ),
        (["--target-weight=stars:1=0,2=0,3=0,4=0,5=0"], "have weight zero"),
        (["--target-weight=rating:1=0"], "has no column 'rating'"),
        (["--target-events=buy"], "needs --log.event"),
        (["--log.event=sort", "--target-events=buy"], "has no column 'sort'"),
        (
            ["--log.event=kind", "--target-events=sell"],
            "'sell' does not occur; the log has buy (174",
        ),
        (["--log.event=kind", "--target-events=buy,"], "give kinds of events, each once"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_trained(folder, flags, message):
    process = run_train("--dataset=log.csv", *flags, cwd=folder)
    assert process.returncode == 2
    assert message in process.stderr
    assert process.stderr.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["log.csv"]


def test_an_empty_event_is_reported_with_its_line_or_dropped(folder):
    with (folder / "log.csv").open("a") as file:
        file.write("1,2,99,5,\n")
    flags = ["--dataset=log.csv", "--log.event=kind", "--dry-run"]
    process = run_train(*flags, cwd=folder)
    assert process.returncode == 2
    assert (
        "line 263: column 'kind' is empty; --log.drop-incomplete drops such rows" in process.stderr
    )
    process = run_train(*flags, "--log.drop-incomplete", cwd=folder)
    assert process.returncode == 0, process.stderr
    assert "1 by --log.drop-incomplete" in process.stdout


def test_a_dry_run_reports_effective_targets_and_unreachable_targets(folder):
    flags = ["--dataset=log.csv", "--log.rating=stars", "--log.event=kind", "--dry-run"]
    weight = "rating:1=0,2=0,3=1,4=1,5=1"
    process = run_train(*flags, "--target-events=buy", f"--target-weight={weight}", cwd=folder)
    assert process.returncode == 0, process.stderr
    *lines, chosen = process.stdout.splitlines()
    assert chosen.startswith("  chosen for this log: dropout 0.4 ")
    # Six of the nine steps are buys; four of them are training targets, rated 2, 3, 5 and 1.
    assert lines[-3] == (
        "  leave-one-out, only buy: 116 training targets, 29 validation targets, 29 test targets"
    )
    assert lines[-2] == (
        f"  --target-weight={weight}: effective sample size 58; 58 targets have weight zero"
    )
    # All activities of user 23 are with one item.
    assert lines[-1] == (
        "  note: 1 of 29 test targets are items of the user's history: they are excluded, and "
        "count as missed; --keep-seen makes them candidates"
    )


def test_many_unreachable_targets_cause_a_warning(tmp_path):
    rows = [
        f"{user},{item},{2 * item + bought},{'buy' if bought else 'view'}\n"
        for user in range(20)
        for item in range(6)
        for bought in (0, 1)
    ]
    (tmp_path / "log.csv").write_text("user,item,timestamp,event\n" + "".join(rows))
    flags = ["--dataset=log.csv", "--log.event=event", "--target-events=buy", "--dry-run"]
    process = run_train(*flags, cwd=tmp_path)
    assert "  warning: 20 of 20 test targets are items of the user's history" in process.stdout
    assert "of the user's history" not in run_train(*flags, "--keep-seen", cwd=tmp_path).stdout


@pytest.mark.slow
def test_target_weights_end_to_end(tmp_path):
    rows = [
        f"{user},{(3 * user + step) % 40},{7 * step * step},{step % 5 + 1},"
        f"{'buy' if step % 3 else 'view'}\n"
        for user in range(40)
        for step in range(12)
    ]
    (tmp_path / "log.csv").write_text("user,item,timestamp,stars,kind\n" + "".join(rows))
    process = run_train(
        *("--dataset=log.csv", "--log.rating=stars", "--log.event=kind"),
        *("--target-events=buy", "--target-weight=stars:1=0,2=0,3=0.5,4=1,5=2"),
        *("--activity-features=rating,event", "--time-gaps", "--log.time-unit=seconds"),
        *("--encoder=bow", "--epochs=1", "--embedding-dim=8", "--hidden-units=8"),
        cwd=tmp_path,
    )
    assert process.returncode == 0, process.stderr
    done = RunDirectory(tmp_path / "runs/log-bow-n10")
    summary, ranks = done.summary(), done.ranks()
    protocol = summary.protocol
    assert protocol.target_events == "buy" and protocol.knows_target_time
    assert protocol.test_targets == 40
    # Eight of twelve steps are buys, six of them training targets: 2, 3, 5, 1, 3 and 4 stars.
    weights = np.array([0, 0.5, 2, 0, 0.5, 1])
    assert protocol.effective_targets == pytest.approx(40 * weights.sum() ** 2 / (weights**2).sum())
    assert "log, leave-one-out, only buy: 40 targets of 40 test users" in process.stdout
    # The last buy is at step 11, 7 * (121 - 100) seconds after the previous activity.
    assert protocol.slices == {"graded": 40, "a minute later": 40}
    assert summary.without_target_time is not None and ranks.without_target_time is not None
    assert (
        np.mean(ranks.without_target_time <= 10) == summary.without_target_time.means["recall@10"]
    )
    assert ranks.slices["graded"].tolist() == [1.0] * 40
