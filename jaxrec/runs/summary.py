"""The summary of a run: its figures, and the protocol without which they mean nothing."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from jaxrec.data.intake import Intake
from jaxrec.evaluation.metrics import PredictionFigures
from jaxrec.files import read_json, reading, write_json

AnyFigures = TypeVar("AnyFigures")


@dataclass(frozen=True)
class Protocol:
    """How the figures were taken.

    Attributes:
        final_fit: whether the validation targets were learned too.
        seen_items: "kept" among the candidates, or "left out".
        test_targets_seen_before: those that the user had met; left out, they count as missed.
        interval: what an interval says.
        intake: what became of the rows of the log.
        target_events: the kinds of events that are predicted, as they were asked for; None: all.
        label_weight: what the training targets count, as it was asked for ...
        effective_targets: ... and how many equal ones weigh as much; None: all count the same.
        validation_targets: how many chose the epoch.
        users_drawn: whether the test users were drawn, and may be not all there are.
        told_time: whether the model knows when the target came (`--time`, `--moment`).
        slices: of how many test targets figures are given apart, by the name of the slice.
    """

    dataset: str
    split: str
    leaks_the_future: bool
    final_fit: bool
    history_length: int
    candidates: int
    seen_items: str
    test_targets: int
    test_users: int
    test_targets_seen_before: int
    interval: str
    seed: int
    intake: Intake
    target_events: str | None = None
    label_weight: str | None = None
    effective_targets: float | None = None
    validation_targets: int | None = None
    users_drawn: bool = False
    told_time: bool = False
    slices: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Figures:
    """What a ranking is worth.

    Attributes:
        means: each metric over the targets, by name, as in recall@10; and some over a slice of the
            targets (`evaluation.slices.label`).
        intervals: its 95% interval, lower end first.
        coverage: share of the items that stand in the top 10 of at least one history.
    """

    means: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    coverage: float


@dataclass(frozen=True)
class TrainingFigures:
    """What training took; its speed is the median of the epochs, the first of which compiles."""

    targets_per_s: float
    seconds: float
    validation_seconds: float
    steps: int
    epochs: int
    best_epoch: int


@dataclass(frozen=True)
class ModelFacts:
    """The encoder, and the number of parameters of the whole model."""

    encoder: str
    parameters: int


@dataclass(frozen=True)
class Summary:
    """What a finished run says of itself.

    Attributes:
        baselines: figures of each on the test targets, by name.
        heads: what the predictions of the model and of baselines are worth, by head and name.
        now_unknown: the test figures where the model is not told the time of the target; None: it
            never is.
    """

    protocol: Protocol
    test: Figures
    validation: Figures
    baselines: dict[str, Figures]
    train: TrainingFigures
    model: ModelFacts
    heads: dict[str, dict[str, PredictionFigures]] = field(default_factory=dict)
    now_unknown: Figures | None = None

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        write_json(path, asdict(self))


def load_summary(path: Path) -> Summary:
    """Read what `Summary.save` wrote.

    Raises:
        UserError: the file is missing or damaged, or holds what this version does not know.
    """
    saved = read_json(path)
    with reading(path):
        parts = {
            "protocol": _protocol(saved["protocol"]),
            "test": _figures(saved["test"]),
            "validation": _figures(saved["validation"]),
            "baselines": {name: _figures(each) for name, each in saved["baselines"].items()},
            "train": TrainingFigures(**saved["train"]),
            "model": ModelFacts(**saved["model"]),
            "heads": {
                head: {name: _figures(each, PredictionFigures) for name, each in rows.items()}
                for head, rows in saved["heads"].items()
            },
        }
        if saved.get("now_unknown"):
            parts["now_unknown"] = _figures(saved["now_unknown"])
        return Summary(**{**saved, **parts})


def _protocol(saved: Any) -> Protocol:
    intake = saved["intake"]
    return Protocol(**{**saved, "intake": Intake(**{**intake, "notes": tuple(intake["notes"])})})


def _figures(saved: Any, kind: Callable[..., AnyFigures] = Figures) -> AnyFigures:
    means = {name: float(mean) for name, mean in saved["means"].items()}
    intervals = {name: (low, high) for name, (low, high) in saved["intervals"].items()}
    return kind(**{**saved, "means": means, "intervals": intervals})
