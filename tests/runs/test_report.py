"""The report: figures with their protocol, and a warning of splits that leak the future."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from jaxrec.config.experiment import Config, TrainConfig
from jaxrec.data.data_config import DataConfig
from jaxrec.errors import UserError
from jaxrec.evaluation.ranking import Ranking
from jaxrec.evaluation.slices import GRADED, LATER
from jaxrec.runs.report import (
    describe,
    draw_curve,
    figures_of,
    protocol,
    render_table,
    training_figures,
)
from jaxrec.runs.summary import ModelFacts, Summary, TrainingFigures, load_summary
from tests.small_data import dataset_of

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
WORLD = [[1, 2, 3, 4, 5], [2, 1, 3, 1], [1, 2, 3]]
CONFIG = Config(DataConfig(dataset="logs/shop.csv", history_length=7), train=TrainConfig(seed=5))


def ranking_of(ranks: list[int], users: list[int] | None = None, seen_targets: int = 0) -> Ranking:
    owners = np.arange(len(ranks)) if users is None else np.array(users)
    return Ranking(owners, np.array(ranks, np.int32), covered=2, seen_targets=seen_targets)


def summary_of(config: Config = CONFIG, seen_targets: int = 0) -> Summary:
    ranking = ranking_of([1, 2, 4, 5] * 300, [0, 0, *range(1, 1199)], seen_targets)
    worse = ranking_of([5] * 1200)
    return Summary(
        protocol(config, dataset_of(WORLD), ranking),
        figures_of(ranking, 5),
        figures_of(worse, 5),
        {"popularity": figures_of(worse, 5)},
        TrainingFigures(250.0, 106.0, 1.5, steps=120, epochs=3, best_epoch=2),
        ModelFacts("rnn", 1234),
    )


def with_data(**changes) -> Config:
    return replace(CONFIG, data=replace(CONFIG.data, **changes))


def test_the_protocol_describes_the_evaluation():
    # Two targets of one user, one of another.
    ranking = ranking_of([1, 2, 3], [4, 4, 9], seen_targets=1)
    dataset = dataset_of(WORLD)
    assert asdict(protocol(CONFIG, dataset, ranking)) == {
        "dataset": "shop",
        "split": "leave-one-out",
        "leaks_the_future": False,
        "final_fit": False,
        "history_length": 7,
        "candidates": 5,
        "seen_items": "left out",
        "test_targets": 3,
        "test_users": 2,
        "test_targets_seen_before": 1,
        "interval": "95%, bootstrap over users",
        "seed": 5,
        "intake": asdict(dataset.log_summary),
        "target_events": None,
        "label_weight": None,
        "effective_targets": None,
        "validation_targets": 3,
        "users_drawn": False,
        "told_time": False,
        "slices": {},
    }
    other = protocol(with_data(split="random-pairs", keep_seen=True), dataset_of(WORLD), ranking)
    assert other.leaks_the_future is True
    assert other.seen_items == "kept"


def test_the_table_has_the_protocol():
    heading = render_table(summary_of()).splitlines()[0]
    assert heading == (
        "shop, leave-one-out: 1,200 targets of 1,199 test users, 5 candidates, history "
        "excluded, N = 7, ± is 95%, bootstrap over users"
    )


def test_the_table_has_the_figures_of_the_model_and_of_each_baseline():
    lines = render_table(summary_of()).splitlines()
    names, model, popularity = lines[-3:]
    columns = ["recall@1", "recall@5", "recall@10", "recall@50", "ndcg@10", "mrr", "mean"]
    assert [name for name in names.split() if name != "rank"] == [*columns, "coverage@10"]
    # Ranks 1, 2, 4, 5: NDCG is the mean of 1, 0.6309, 0.4307, 0.3869; MRR of 1, 1/2, 1/4, 1/5.
    cells = model.split()
    assert cells[:5] == ["rnn", "0.2500", "1.0000", "1.0000", "±0.0000"]
    assert (cells[6], cells[8], cells[9], cells[10]) == ("0.6121", "0.4875", "3.0", "40.0%")
    # ± is half of the interval.
    summary = summary_of()
    low, high = summary.test.intervals["ndcg@10"]
    assert cells[7] == f"±{(high - low) / 2:.4f}"
    assert float(cells[7][1:]) > 0
    assert popularity.split()[:3] == ["popularity", "0.0000", "1.0000"]
    # Columns are aligned.
    assert len({len(line) for line in (names, model, popularity)}) == 1


SLICES = {
    GRADED: np.array([15.0, 7.0, 0.0, 1.0] * 300),
    "rated >= 4": np.array([1.0, 1.0, 0.0, 0.0] * 300),
    LATER: np.array([0.0, 0.0, 1.0, 0.0] * 300),
}


def sliced_summary(**data) -> Summary:
    """Return a summary with slices, of ranks 1, 2, 4 and 5; those of the baseline are all 5."""
    ranking, worse = ranking_of([1, 2, 4, 5] * 300), ranking_of([5] * 1200)
    return replace(
        summary_of(),
        protocol=protocol(with_data(**data), dataset_of(WORLD), ranking, SLICES),
        test=figures_of(ranking, 5, SLICES),
        baselines={"popularity": figures_of(worse, 5, SLICES)},
        now_unknown=figures_of(worse, 5, SLICES) if data.get("time_gaps") else None,
    )


def test_slices_have_their_own_table():
    lines = render_table(sliced_summary()).splitlines()
    about, _, names, model, popularity = lines[-5:]
    assert about == (
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
    assert "rated" not in render_table(summary_of())


def test_a_timed_model_is_labelled_and_evaluated_without_the_time_too():
    table = render_table(sliced_summary(time_gaps=True))
    assert "history excluded, knows the target's time, N = 7" in table
    rows = [line.split("  ")[0] for line in table.splitlines() if "±0." in line]
    assert rows == ["rnn, knows the target's time", "rnn, target time unknown", "popularity"] * 2
    assert "a minute later: 300 targets, a minute or more after the previous activity" in table
    later = [line.split() for line in table.splitlines()[-3:]]
    # The NDCG of rank 4 is 0.4307, that of rank 5 is 0.3869.
    assert [line[-2] for line in later] == ["0.4307", "0.3869", "0.3869"]


def test_a_summary_with_slices_is_read_back_equal(tmp_path):
    summary = sliced_summary(time_gaps=True)
    summary.save(tmp_path / "summary.json")
    assert load_summary(tmp_path / "summary.json") == summary


def test_a_final_fit_is_noted_in_the_heading():
    heading = render_table(summary_of(with_data(final_fit=True))).splitlines()[0]
    assert heading.startswith(
        "shop, leave-one-out, trained on validation targets too: 1,200 targets"
    )


def test_sampled_users_are_noted():
    heading = render_table(summary_of(with_data(test_users=50))).splitlines()[0]
    assert "1,199 sampled test users, 5 candidates" in heading


def test_a_test_of_all_users_is_not_noted_as_sampled():
    """Validation users may be sampled, and a request for too many test users gets all."""
    ranking = ranking_of([1, 2, 3], [4, 4, 9])
    for asked in ({"validation_users": 10}, {"test_users": 10}):
        assert not protocol(with_data(**asked), dataset_of(WORLD), ranking).users_drawn


def test_the_protocol_has_target_events_and_weights():
    ranking, dataset = ranking_of([1, 2, 3]), dataset_of(WORLD)
    learned = dataset.split.is_training_target
    dataset = replace(dataset, weights=np.where(np.cumsum(learned) == 1, 1, 0).astype(np.float32))
    told = protocol(with_data(target_events="buy", target_weight="weight"), dataset, ranking)
    assert describe(told).startswith("shop, leave-one-out, only buy: 3 targets of 3 test users")
    assert (told.label_weight, told.effective_targets) == ("weight", 1)


@pytest.mark.parametrize("split", ["leave-one-out", "temporal", "random-pairs"])
def test_only_random_pairs_are_noted_as_leaking(split):
    table = render_table(summary_of(with_data(split=split)))
    assert ("leaks the future" in table) == (split == "random-pairs")
    assert f"shop, {split}:" in table


def test_seen_targets_are_noted_where_they_count_as_missed():
    table = render_table(summary_of(seen_targets=1003))
    assert (
        "1,003 targets are items of the user's history; they are excluded, and count as missed"
        in table
    )
    assert "--keep-seen" in table
    assert "items of the user's history" not in render_table(summary_of(seen_targets=0))
    kept = render_table(summary_of(with_data(keep_seen=True), seen_targets=1003))
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
    figures = figures_of(ranking_of([1, 2, 4, 5]), candidates=8)
    assert figures.means["recall@1"] == 0.25
    assert figures.means["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 4 + 1 / 5) / 4)
    assert figures.means["mean_rank"] == 3
    assert figures.intervals.keys() == figures.means.keys()
    for name, (low, high) in figures.intervals.items():
        assert low <= figures.means[name] <= high
    # Two of the eight items are in a top 10.
    assert figures.coverage == 0.25


def test_a_summary_is_read_back_equal(tmp_path):
    summary = summary_of(seen_targets=3)
    summary.save(tmp_path / "summary.json")
    assert load_summary(tmp_path / "summary.json") == summary


def test_an_older_summary_is_read_with_defaults(tmp_path):
    path = tmp_path / "summary.json"
    summary_of().save(path)
    saved = json.loads(path.read_text())
    for name in ("target_events", "label_weight", "effective_targets", "told_time", "slices"):
        del saved["protocol"][name]
    del saved["now_unknown"]
    path.write_text(json.dumps(saved))
    assert load_summary(path) == summary_of()


def without_split(saved):
    del saved["protocol"]["split"]


def with_a_newer_field(saved):
    saved["test"]["novelty"] = 0.5


def with_a_word_for_a_number(saved):
    saved["test"]["means"]["recall@10"] = "high"


def with_half_an_interval(saved):
    saved["test"]["intervals"]["mrr"].pop()


def with_a_list_for_figures(saved):
    saved["baselines"]["popularity"] = []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without_split, r"summary.json is damaged \(.*'split'\); train the run again"),
        (with_a_newer_field, r"is damaged \(.*'novelty'\)"),
        (with_a_word_for_a_number, r"is damaged \(.*float: 'high'\)"),
        (with_half_an_interval, "is damaged"),
        (with_a_list_for_figures, "is damaged"),
        (lambda saved: saved.clear(), r"is damaged \('protocol'\)"),
    ],
)
def test_a_damaged_summary_is_one_line(tmp_path, change, said):
    path = tmp_path / "summary.json"
    summary_of().save(path)
    saved = json.loads(path.read_text())
    change(saved)
    path.write_text(json.dumps(saved))
    with pytest.raises(UserError, match=said) as error:
        load_summary(path)
    assert "\n" not in str(error.value)
    path.unlink()
    with pytest.raises(UserError, match=r"summary.json is missing"):
        load_summary(path)
