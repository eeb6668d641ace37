"""The summary of a run: its figures, and the protocol under which they are comparable."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from jaxrec.data.log_summary import LogSummary
from jaxrec.evaluation.metrics import PredictionFigures
from jaxrec.files import read_json, reading, rename_keys, write_json

AnyFigures = TypeVar("AnyFigures")


def describe_history(excluded: bool) -> str:
    """Return in words whether the items of the history are excluded from the candidates."""
    return "history excluded" if excluded else "history included"


# Fields of the protocol in runs of format 8, the oldest of which lack some, with their names today.
_RENAMED = {
    "intake": "log_summary",
    "told_time": "knows_target_time",
    "label_weight": "target_weight",
    "final_fit": "train_on_validation",
}


@dataclass(frozen=True)
class Protocol:
    """The protocol of an evaluation.

    Attributes:
        dataset: name of the data.
        split: name of the split into training, validation and test targets.
        leaks_the_future: whether later activities of the same user may be trained on.
        train_on_validation: whether the validation targets were trained on too.
        history_length: the number of items that the model reads, N.
        candidates: the number of items that are ranked.
        excludes_history: whether the items of the history are excluded from the candidates.
        test_targets: the number of test targets.
        test_users: the number of users that they belong to.
        test_targets_seen_before: test targets that the user had seen before; if seen items are
            excluded, these count as missed.
        interval: the level and the method of the intervals.
        seed: the seed of training.
        log_summary: the numbers of rows read, kept and dropped, and notes on the log.
        target_events: the kinds of events that are predicted, as configured; None: all.
        target_weight: the weights of the training targets, as configured.
        effective_targets: the effective number of targets with these weights; None: equal weights.
        validation_targets: the number of targets that selected the epoch.
        validation_users: the number of users drawn for validation; None: all.
        users_drawn: whether the test users are a random sample, and maybe not all users.
        knows_target_time: whether the model knows the time of the target (`--time-gaps`,
            `--time-features`).
        slices: the number of test targets of each slice with its own figures, by name.
    """

    dataset: str
    split: str
    leaks_the_future: bool
    train_on_validation: bool
    history_length: int
    candidates: int
    excludes_history: bool
    test_targets: int
    test_users: int
    test_targets_seen_before: int
    interval: str
    seed: int
    log_summary: LogSummary
    target_events: str | None = None
    target_weight: str | None = None
    effective_targets: float | None = None
    validation_targets: int | None = None
    validation_users: int | None = None
    users_drawn: bool = False
    knows_target_time: bool = False
    slices: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Figures:
    """The metrics of a ranking.

    Attributes:
        means: the mean of each metric over the targets, by name, as in `recall@10`; and of some
            over a slice of the targets (`evaluation.slices.label`).
        intervals: the 95% interval of each mean, lower end first.
        coverage: share of the items that are in the top 10 of at least one history.
    """

    means: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    coverage: float


@dataclass(frozen=True)
class TrainingFigures:
    """The cost of training; the speed is the median over epochs, because the first compiles."""

    targets_per_s: float
    seconds: float
    validation_seconds: float
    steps: int
    epochs: int
    best_epoch: int


@dataclass(frozen=True)
class ModelFacts:
    """The encoder and the number of parameters of the whole model."""

    encoder: str
    parameters: int


@dataclass(frozen=True)
class Summary:
    """The figures of a finished run, with their protocol.

    Attributes:
        protocol: the protocol of the evaluation.
        test: the figures on the test targets.
        validation: the figures on the validation targets.
        baselines: the test figures of each baseline, by name.
        train: the cost of training.
        model: the encoder and its size.
        heads: the figures of the predictions of the model and of baselines, by head and name.
        without_target_time: the test figures of the model without the target's time; None: the
            model does not use that time.
    """

    protocol: Protocol
    test: Figures
    validation: Figures
    baselines: dict[str, Figures]
    train: TrainingFigures
    model: ModelFacts
    heads: dict[str, dict[str, PredictionFigures]] = field(default_factory=dict)
    without_target_time: Figures | None = None

    def save(self, path: Path) -> None:
        """Write the summary as JSON."""
        write_json(path, asdict(self))


def load_summary(path: Path) -> Summary:
    """Read a summary that `Summary.save` wrote, or one of run format 8.

    Raises:
        UserError: the file is missing or damaged, or has fields unknown to this version.
    """
    saved = read_json(path)
    with reading(path):
        if "now_unknown" in saved:
            saved["without_target_time"] = saved.pop("now_unknown")
        parts = {
            "protocol": _parse_protocol(saved["protocol"]),
            "test": _parse_figures(saved["test"]),
            "validation": _parse_figures(saved["validation"]),
            "baselines": {name: _parse_figures(each) for name, each in saved["baselines"].items()},
            "train": TrainingFigures(**saved["train"]),
            "model": ModelFacts(**saved["model"]),
            "heads": {
                head: {name: _parse_figures(each, PredictionFigures) for name, each in rows.items()}
                for head, rows in saved["heads"].items()
            },
        }
        if saved.get("without_target_time"):
            parts["without_target_time"] = _parse_figures(saved["without_target_time"])
        return Summary(**{**saved, **parts})


def _parse_protocol(saved: Any) -> Protocol:
    values = rename_keys(saved, _RENAMED)
    if "seen_items" in values:
        values["excludes_history"] = values.pop("seen_items") == "left out"
    log_summary = values["log_summary"]
    values["log_summary"] = LogSummary(**{**log_summary, "notes": tuple(log_summary["notes"])})
    return Protocol(**values)


def _parse_figures(saved: Any, kind: Callable[..., AnyFigures] = Figures) -> AnyFigures:
    means = {name: float(mean) for name, mean in saved["means"].items()}
    intervals = {name: (low, high) for name, (low, high) in saved["intervals"].items()}
    return kind(**{**saved, "means": means, "intervals": intervals})
