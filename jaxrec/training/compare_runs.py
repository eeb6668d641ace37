"""Comparison of finished runs: their figures on the same users, and the churn of their lists."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from jaxrec.errors import UserError
from jaxrec.evaluation.churn import OVERLAP, Churn, common_ids, count_items
from jaxrec.runs.churn_report import render_churn
from jaxrec.runs.comparison import check_comparable, read_run, render_comparison
from jaxrec.runs.directory import RunDirectory
from jaxrec.training.run_lists import churn_of_pairs


def compare(*run_dirs: str | Path) -> str:
    """Return a table of runs and their differences, and the churn between their lists.

    The figures are over all targets and over shared slices. A difference is marked with * if its
    95% interval, by paired bootstrap over users, excludes zero. The churn is that of the lists for
    the held-out histories of the first run. Runs of different logs have no differences, but still
    a churn, if they have items in common.

    Args:
        run_dirs: two or more finished runs.

    Raises:
        UserError: fewer than two runs are given, one cannot be read, or they cannot be compared in
            any way.

    Example::

        print(jaxrec.compare("runs/shop", "runs/shop-bow"))
    """
    if len(run_dirs) < 2:
        raise UserError("a comparison needs two runs; give two or more run directories")
    runs = [read_run(Path(path)) for path in run_dirs]
    comparable, reasons = runs[:1], []
    for other in runs[1:]:
        try:
            check_comparable(runs[0], other)
            comparable.append(other)
        except UserError as error:
            reasons.append(error)
    parts = [render_comparison(comparable)] if len(comparable) > 1 else []
    parts += [f"no difference in recall: {reason}" for reason in reasons]
    try:
        parts.append(_render_churn([RunDirectory(Path(path)) for path in run_dirs]))
    except UserError as error:
        if reasons:
            raise reasons[0] from None
        parts.append(f"no churn: {error}")
    return "\n\n".join(parts)


def _render_churn(directories: Sequence[RunDirectory]) -> str:
    """Format the churn between runs, with notes on their items and seeds."""
    churn = churn_of_pairs(directories)
    rows = {f"{first} and {second}": each for (first, second), each in churn.items()}
    notes = [*_item_lines(directories), *_seed_lines(directories, churn)]
    return "\n".join([render_churn(rows), *notes])


def _item_lines(directories: Sequence[RunDirectory]) -> list[str]:
    """Count the items of each pair of runs that have different ones."""
    ids_of_runs = common_ids(*(each.vocabulary().values.to_list() for each in directories))
    lines = []
    for pair in combinations(zip(directories, ids_of_runs, strict=True), 2):
        (first, first_ids), (second, second_ids) = pair
        counts = count_items(first_ids, second_ids)
        if counts.added or counts.removed:
            lines.append(
                f"{counts.common:,} items are in both {first.path} and {second.path}, "
                f"{counts.removed:,} only in the first and {counts.added:,} only in the second"
            )
    return lines


def _seed_lines(
    directories: Sequence[RunDirectory], churn: Mapping[tuple[str, str], Churn]
) -> list[str]:
    """Describe the churn of each pair of trainings on the same log that differ in their seed."""
    return [
        f"{first.path} and {second.path} are two seeds of the same training: they share "
        f"{churn[str(first.path), str(second.path)].means[OVERLAP]:.1%} of the items of their "
        "lists, without any new data"
        for first, second in combinations(directories, 2)
        if _differ_in_seed(first, second)
    ]


def _differ_in_seed(first: RunDirectory, second: RunDirectory) -> bool:
    ours, theirs = first.config(), second.config()
    same_seed = replace(theirs, train=replace(theirs.train, seed=ours.train.seed))
    is_same_log = first.vocabulary().digest == second.vocabulary().digest
    return is_same_log and ours == same_seed != theirs
