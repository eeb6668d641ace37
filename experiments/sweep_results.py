"""What a sweep found: its finished cells, their files' costs, and both joined over the seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from jaxrec.files import read_json
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.summary import Summary

NAMES = {"recall@10": "recall@10", "ndcg@10": "NDCG@10"}
METRICS = tuple(NAMES)


@dataclass(frozen=True)
class Result:
    """A finished cell.

    Attributes:
        model: its .tflite, if it was converted.
    """

    summary: Summary
    model: Path | None

    @property
    def encoder(self) -> str:
        """The name of its encoder."""
        return self.summary.model.encoder

    @property
    def history_length(self) -> int:
        """N."""
        return self.summary.protocol.history_length


@dataclass(frozen=True)
class Timed:
    """A file that was timed.

    Attributes:
        name: its path, or what a published one is called.
        recall: recall@10 through the file.
        microseconds: the median time of a call.
    """

    name: str
    recall: float
    microseconds: float
    kilobytes: float


@dataclass(frozen=True)
class Row:
    """An encoder at a history length, over its seeds.

    Attributes:
        means: each metric on the test users.
        intervals: its 95% interval over users, the mean of the seeds'.
        spreads: its lowest and highest seed.
        minutes: of training, the median seed.
    """

    encoder: str
    history_length: int
    seeds: int
    means: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    spreads: Mapping[str, tuple[float, float]]
    validation: float
    parameters: int
    minutes: float


def read_results(runs: Sequence[RunDirectory]) -> list[Result]:
    """Read what finished runs say of themselves."""
    return [
        Result(run.summary(), run.model_file if run.model_file.exists() else None) for run in runs
    ]


def read_timed(path: Path) -> list[Timed]:
    """Read what convert/benchmark.py wrote about the exports."""
    return [
        Timed(
            each["name"],
            each["recall@10"],
            each["microseconds"]["p50"],
            each["file_bytes"] / 1e3,
        )
        for each in read_json(path)
    ]


def make_rows(results: Sequence[Result]) -> list[Row]:
    """Join the seeds of each encoder and history length, in the order in which they come."""
    groups: dict[tuple[str, int], list[Summary]] = {}
    for result in results:
        groups.setdefault((result.encoder, result.history_length), []).append(result.summary)
    return [_row(*key, summaries) for key, summaries in groups.items()]


def _row(encoder: str, history_length: int, summaries: Sequence[Summary]) -> Row:
    means = {name: [each.test.means[name] for each in summaries] for name in METRICS}
    ends = {
        name: zip(*(each.test.intervals[name] for each in summaries), strict=True)
        for name in METRICS
    }
    return Row(
        encoder,
        history_length,
        len(summaries),
        {name: fmean(values) for name, values in means.items()},
        {name: (fmean(lows), fmean(highs)) for name, (lows, highs) in ends.items()},
        {name: (min(values), max(values)) for name, values in means.items()},
        fmean(each.validation.means["recall@10"] for each in summaries),
        summaries[0].model.parameters,
        median(each.train.seconds for each in summaries) / 60,
    )
