"""The summary of a run: its figures, and the protocol without which they mean nothing."""

from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from jaxrec.errors import UserError
from jaxrec.files import read_json, write_json


@dataclass(frozen=True)
class Protocol:
    """How the figures were taken.

    Attributes:
        final_fit: whether the validation targets were learned too.
        seen_items: "kept" among the candidates, or "left out".
        test_targets_seen_before: those that the user had met; left out, they count as missed.
        interval: what an interval says.
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


@dataclass(frozen=True)
class Figures:
    """What a ranking is worth.

    Attributes:
        means: each metric over the targets, by name, as in recall@10.
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
    """

    protocol: Protocol
    test: Figures
    validation: Figures
    baselines: dict[str, Figures]
    train: TrainingFigures
    model: ModelFacts

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        write_json(path, asdict(self))


def load_summary(path: Path) -> Summary:
    """Read what `Summary.save` wrote.

    Raises:
        UserError: the file is missing or damaged, or holds what this version does not know.
    """
    try:
        return _made(Summary, read_json(path))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}); train the run again") from None


def _made(kind: Any, value: Any) -> Any:
    """Make a value of a type from its JSON: data classes, dictionaries, tuples, plain values.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: it is none; a KeyError names what is
            missing or unknown.
    """
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        _ = [value[each.name] for each in fields(kind) if each.default is MISSING]
        return kind(**{name: _made(hints[name], each) for name, each in value.items()})
    if get_origin(kind) is dict:
        return {name: _made(get_args(kind)[1], each) for name, each in value.items()}
    if get_origin(kind) is tuple:
        return tuple(_made(part, each) for part, each in zip(get_args(kind), value, strict=True))
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
