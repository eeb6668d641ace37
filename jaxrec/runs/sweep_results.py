"""The results of a sweep: the summaries of its finished cells, aggregated over the seeds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from jaxrec.runs.summary import Summary

NAMES = {"recall@10": "recall@10", "ndcg@10": "NDCG@10"}
METRICS = tuple(NAMES)


@dataclass(frozen=True)
class Row:
    """The results of an encoder at a history length, aggregated over its seeds.

    Attributes:
        means: each metric on the test users, the mean over seeds.
        intervals: its 95% interval over users, the mean over seeds of each end.
        spreads: its lowest and highest value over seeds.
        minutes: the training time, the median over seeds.
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


def make_rows(summaries: Iterable[Summary]) -> list[Row]:
    """Aggregate the seeds of each encoder and history length, in order of first appearance."""
    groups: dict[tuple[str, int], list[Summary]] = {}
    for each in summaries:
        groups.setdefault((each.model.encoder, each.protocol.history_length), []).append(each)
    return [_row(*key, seeds) for key, seeds in groups.items()]


def _row(encoder: str, history_length: int, seeds: Sequence[Summary]) -> Row:
    tests = [each.test for each in seeds]
    means = {name: [each.means[name] for each in tests] for name in METRICS}
    ends = {name: zip(*(each.intervals[name] for each in tests), strict=True) for name in METRICS}
    return Row(
        encoder,
        history_length,
        len(seeds),
        {name: fmean(values) for name, values in means.items()},
        {name: (fmean(lows), fmean(highs)) for name, (lows, highs) in ends.items()},
        {name: (min(values), max(values)) for name, values in means.items()},
        fmean(each.validation.means["recall@10"] for each in seeds),
        seeds[0].model.parameters,
        median(each.train.seconds for each in seeds) / 60,
    )
