"""The report: figures with their protocol, and a warning of splits that leak the future."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from jaxrec.data.splits import sample_users
from jaxrec.runs.report import (
    describe,
    draw_curve,
    figures_of,
    protocol,
    render_table,
    training_figures,
)
from tests.runs.small_summaries import (
    CONFIG,
    ITEMS_BY_USER,
    config_with,
    make_ranking,
    make_sliced_summary,
    make_summary,
)
from tests.small_data import dataset_of

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def test_the_protocol_describes_the_evaluation():
    # Two targets of one user, one of another.
    ranking = make_ranking([1, 2, 3], [4, 4, 9], seen_targets=1)
    dataset = dataset_of(ITEMS_BY_USER)
    assert asdict(protocol(CONFIG, dataset, ranking)) == {
        "dataset": "shop",
        "split": "leave-one-out",
        "leaks_the_future": False,
        "train_on_validation": False,
        "history_length": 7,
        "candidates": 5,
        "excludes_history": True,
        "test_targets": 3,
        "test_users": 2,
        "test_targets_seen_before": 1,
        "interval": "95%, bootstrap over users",
        "seed": 5,
        "log_summary": asdict(dataset.log_summary),
        "target_events": None,
        "target_weight": None,
        "effective_targets": None,
        "validation_targets": 3,
        "validation_users": None,
        "users_drawn": False,
        "knows_target_time": False,
        "slices": {},
    }
    other = protocol(
        config_with(split="random-pairs", keep_seen=True), dataset_of(ITEMS_BY_USER), ranking
    )
    assert other.leaks_the_future is True
    assert not other.excludes_history


def test_the_table_has_the_protocol():
    heading = render_table(make_summary()).splitlines()[0]
    assert heading == (
        "shop, leave-one-out: 1,200 targets of 1,199 test users, 5 candidates, history "
        "excluded, N = 7, ± is 95%, bootstrap over users"
    )


def test_the_table_has_the_figures_of_the_model_and_of_each_baseline():
    lines = render_table(make_summary()).splitlines()
    names, model, popularity = lines[-3:]
    columns = ["recall@1", "recall@5", "recall@10", "recall@50", "ndcg@10", "mrr", "mean"]
    assert [name for name in names.split() if name != "rank"] == [*columns, "coverage@10"]
    # Ranks 1, 2, 4, 5: NDCG is the mean of 1, 0.6309, 0.4307, 0.3869; MRR of 1, 1/2, 1/4, 1/5.
    cells = model.split()
    assert cells[:5] == ["rnn", "0.2500", "1.0000", "1.0000", "±0.0000"]
    assert (cells[6], cells[8], cells[9], cells[10]) == ("0.6121", "0.4875", "3.0", "40.0%")
    # ± is half of the interval.
    summary = make_summary()
    low, high = summary.test.intervals["ndcg@10"]
    assert cells[7] == f"±{(high - low) / 2:.4f}"
    assert float(cells[7][1:]) > 0
    assert popularity.split()[:3] == ["popularity", "0.0000", "1.0000"]
    # Columns are aligned.
    assert len({len(line) for line in (names, model, popularity)}) == 1


def test_slices_have_their_own_table():
    lines = render_table(make_sliced_summary()).splitlines()
    legend, _, names, model, popularity = lines[-5:]
    assert legend == (
        "graded: targets are weighted by 2^g - 1, g from 0 for the lowest rating to 4; "
        "rated >= 4: 600 targets"
    )
    assert names.split("  ")[-3:] == [
        "ndcg@10 (graded)",
        "recall@10 (rated >= 4)",
        "ndcg@10 (rated >= 4)",
    ]
    # NDCG is 1, 0.6309, 0.4307 and 0.3869 of the four: (15 + 7 * 0.6309 + 0.3869) / 23.
    assert model.split()[:2] == ["rnn", "0.8610"]
    assert model.split()[3:4] + model.split()[5:6] == ["1.0000", "0.8155"]
    assert popularity.split()[:2] == ["popularity", "0.3869"]
    assert "rated" not in render_table(make_summary())


def test_a_timed_model_is_labelled_and_evaluated_without_the_time_too():
    table = render_table(make_sliced_summary(time_gaps=True))
    assert "history excluded, knows the target's time, N = 7" in table
    rows = [line.split("  ")[0] for line in table.splitlines() if "±0." in line]
    assert rows == ["rnn, knows the target's time", "rnn, target time unknown", "popularity"] * 2
    assert "a minute later: 300 targets, a minute or more after the previous activity" in table
    later = [line.split() for line in table.splitlines()[-3:]]
    # The NDCG of rank 4 is 0.4307, that of rank 5 is 0.3869.
    assert [line[-2] for line in later] == ["0.4307", "0.3869", "0.3869"]


def test_a_final_fit_is_noted_in_the_heading():
    heading = render_table(make_summary(config_with(train_on_validation=True))).splitlines()[0]
    assert heading.startswith(
        "shop, leave-one-out, trained on validation targets too: 1,200 targets"
    )


def test_sampled_users_are_noted():
    heading = render_table(make_summary(config_with(test_users=50))).splitlines()[0]
    assert "1,199 sampled test users, 5 candidates" in heading


def test_a_test_of_all_users_is_not_noted_as_sampled():
    """Validation users may be sampled, and a request for too many test users gets all."""
    ranking = make_ranking([1, 2, 3], [4, 4, 9])
    for changes in ({"validation_users": 10}, {"test_users": 10}):
        assert not protocol(config_with(**changes), dataset_of(ITEMS_BY_USER), ranking).users_drawn


def test_drawn_validation_users_are_noted():
    dataset, ranking = dataset_of(ITEMS_BY_USER), make_ranking([1, 2, 3])
    split = sample_users(dataset.timelines, dataset.split, seed=0, validation=2, test=None)
    found = protocol(config_with(), replace(dataset, split=split), ranking)
    assert (found.validation_targets, found.validation_users, found.users_drawn) == (2, 2, False)
    line = "validated on 2 of the users, a random sample"
    assert line in render_table(replace(make_summary(), protocol=found)).splitlines()
    assert "validated on" not in render_table(make_summary())


def test_the_protocol_has_target_events_and_weights():
    ranking, dataset = make_ranking([1, 2, 3]), dataset_of(ITEMS_BY_USER)
    learned = dataset.split.is_training_target
    dataset = replace(dataset, weights=np.where(np.cumsum(learned) == 1, 1, 0).astype(np.float32))
    described = protocol(config_with(target_events="buy", target_weight="weight"), dataset, ranking)
    assert describe(described).startswith(
        "shop, leave-one-out, only buy: 3 targets of 3 test users"
    )
    assert (described.target_weight, described.effective_targets) == ("weight", 1)


def test_ties_that_decide_the_targets_are_noted_beside_the_figures():
    summary = make_summary()
    tied = replace(summary.protocol.log_summary, tied_steps=0.25)
    table = render_table(replace(summary, protocol=replace(summary.protocol, log_summary=tied)))
    assert "25% of consecutive activities have equal times: the order of the source" in table
    drawn = replace(summary.protocol, log_summary=replace(tied, tie_seed=3))
    table = render_table(replace(summary, protocol=drawn))
    assert "equal times: an order drawn by --break-ties=3 decides which of them are" in table
    assert "equal times" not in render_table(summary)


@pytest.mark.parametrize("split", ["leave-one-out", "temporal", "random-pairs"])
def test_only_random_pairs_are_noted_as_leaking(split):
    table = render_table(make_summary(config_with(split=split)))
    assert ("leaks the future" in table) == (split == "random-pairs")
    assert ("those after the cut too" in table) == (split == "temporal")
    assert f"shop, {split}:" in table


def test_seen_targets_are_noted_where_they_count_as_missed():
    table = render_table(make_summary(seen_targets=1003))
    assert (
        "1,003 targets are items of the user's history; they are excluded, and count as missed"
        in table
    )
    assert "--keep-seen" in table
    assert "items of the user's history" not in render_table(make_summary(seen_targets=0))
    kept = render_table(make_summary(config_with(keep_seen=True), seen_targets=1003))
    assert "items of the user's history" not in kept
    assert "history included" in kept


def epoch(number: int, seconds: float) -> dict:
    figures = {"recall@10": number / 10, "ndcg@10": number / 20}
    return {
        "epoch": number,
        "step": 40 * number,
        "loss": 5.0 / number,
        "targets": 1000,
        "seconds": seconds,
        "validation_seconds": 0.5,
        "validation": figures,
    }


def test_training_figures_by_hand():
    # The first epoch compiles. Its low speed must not lower the figure, as it would a mean.
    figures = training_figures([epoch(1, 100.0), epoch(2, 2.0), epoch(3, 4.0)], best_epoch=2)
    assert asdict(figures) == {
        "targets_per_s": 250.0,
        "seconds": 106.0,
        "validation_seconds": 1.5,
        "steps": 120,
        "epochs": 3,
        "best_epoch": 2,
    }


@pytest.mark.parametrize("count", [1, 3])
def test_the_curve_is_a_png(tmp_path, count):
    path = tmp_path / "curve.png"
    epochs = [epoch(number, 1.0) for number in range(1, count + 1)]
    draw_curve(path, "rnn on shop", epochs, {"popularity": 0.05})
    content = path.read_bytes()
    assert content.startswith(PNG_SIGNATURE)
    # 10 x 4 inches at 120 dpi; width and height are at byte 16.
    assert np.frombuffer(content[16:24], ">u4").tolist() == [1200, 480]
    assert list(tmp_path.iterdir()) == [path]


def test_figures_by_hand():
    figures = figures_of(make_ranking([1, 2, 4, 5]), candidates=8)
    assert figures.means["recall@1"] == 0.25
    assert figures.means["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 4 + 1 / 5) / 4)
    assert figures.means["mean_rank"] == 3
    assert figures.intervals.keys() == figures.means.keys()
    for name, (low, high) in figures.intervals.items():
        assert low <= figures.means[name] <= high
    # Two of the eight items are in a top 10.
    assert figures.coverage == 0.25
