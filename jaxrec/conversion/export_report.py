"""Text report of a conversion."""

from collections.abc import Mapping

from jaxrec.conversion.measure.changed_lists import ListChanges
from jaxrec.conversion.measure.latency import machine_name
from jaxrec.conversion.measure.recall import RECALL_AT
from jaxrec.conversion.product import Conversion
from jaxrec.conversion.recipes import Recipe
from jaxrec.errors import FailedCheckError
from jaxrec.runs.churn_report import render_churn
from jaxrec.runs.summary import describe_history
from jaxrec.runs.text_table import format_table


def render_recipes(conversion: Conversion, failures: Mapping[Recipe, FailedCheckError]) -> str:
    """Format the recipes as a table, with the run and the protocol above it."""
    source, shapes, chosen = conversion.source, conversion.shapes, conversion.product
    model = source.config.model
    protocol, test = source.summary.protocol, source.summary.test
    seen = describe_history(not shapes.keep_seen)
    lines = [
        f"{model.encoder}, N = {shapes.history_length}, "
        f"d = {model.embedding_dim}, {source.vocabulary.size:,} items, top {shapes.top_k}, {seen}",
        f"parity on {chosen.parity.histories:,} histories; recall@{RECALL_AT} on "
        f"{len(source.heldout.target):,} held-out targets ({protocol.dataset}, {protocol.split}, "
        f"{describe_history(protocol.excludes_history)}), {test.means['recall@10']:.4f} in JAX",
        f"latency of a call: {machine_name()}, µs",
        "",
    ]
    head = ["", "weights", "graph", "score error", "top-10 overlap", f"recall@{RECALL_AT}"]
    cells = [[*head, "p50", "p90", "p99"]]
    cells += [
        [
            recipe + (" *" if product is chosen else ""),
            f"{product.facts.weight_bytes / 1e3:,.1f} KB",
            f"{len(product.graph) / 1e3:,.1f} KB",
            f"{product.parity.score_error:.1e}",
            f"{product.parity.overlap:.4f}",
            f"{product.recall:.4f}",
            *(f"{time:.1f}" for time in product.latency.values()),
        ]
        for recipe, product in conversion.products.items()
    ]
    lines.append(format_table(cells))
    lines += [f"{recipe} failed: {error}" for recipe, error in failures.items()]
    return "\n".join(lines)


def render_list_lengths(times: Mapping[int, float]) -> str:
    """Format the time of a call for lists of several lengths."""
    *shorter, (top_k, time) = ((k, f"{time:.1f}") for k, time in times.items())
    others = ", ".join(f"{other} with --top-k={k}" for k, other in shorter)
    return f"\nmedian latency {time} µs with the {top_k} items of its list; {others}"


def render_changes(changes: ListChanges) -> str:
    """Format the churn since a previous file, and the number of items that one file lacks."""
    return (
        f"{render_churn({'since the previous file': changes.churn})}\n"
        f"{changes.items.common:,} items are in both files, {changes.items.added:,} only in the "
        f"new one, {changes.items.removed:,} only in the previous one"
    )
