"""Model cards: the description of a file, for programs (model.json) and for people."""

import platform
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any

from jaxrec.conversion.boost import BoostEffect, describe_boost
from jaxrec.conversion.measure.changed_lists import ListChanges
from jaxrec.conversion.measure.recall import RECALL_AT
from jaxrec.conversion.product import Conversion
from jaxrec.conversion.recipes import min_runtime
from jaxrec.data.interactions import DESCRIBES
from jaxrec.evaluation.churn import CHANGED_ITEMS, OVERLAP, SAME_FIRST
from jaxrec.evaluation.ranking import COVERAGE_AT
from jaxrec.runs.report import KNOWS_TARGET_TIME
from jaxrec.runs.summary import Figures, Protocol, describe_history
from jaxrec.runtime import bundle
from jaxrec.runtime.interpreter import DeviceModel
from jaxrec.schema import Feature

_LIBRARIES = (
    *("jaxrec", "jax", "jaxlib", "flax", "numpy"),
    *("tensorflow", "ai-edge-litert", "litert-quantizer"),
)

RULES = {
    "default signature": "A call without the name of a signature runs `recommend`.",
    "order": "A history runs from the oldest to the most recent item, which is last.",
    "padding": "A short history is padded with 0, by convention on the left; padding is ignored at "
    "any position.",
    "ids": "An id is the position of an item in vocabulary.json, from 1.",
    "unknown items": "Omit them, or write 0 or any number that is not an id: they are ignored, and "
    "the items before them are not.",
    "longer histories": "Pass the last N items that are in the vocabulary.",
    "empty history": "A history of zeros returns the popular items.",
    "scores": "Logits: higher is better, comparable within one call. An unknown candidate has "
    "about -1e9.",
    "vectors": "A score is the dot product of a query (`context`) and an item's vector, plus the "
    "item's bias. An unknown item has a vector of zeros and the bias -1e9.",
    "adapter": "The vector that `adapt` learns for one user from the last activities: known ids, "
    "right-aligned, each with a weight. It is added to the query. Zeros have no effect; `adapt` "
    "returns zeros if the adapter did not lower the loss of the held-out activities. It is valid "
    "for this graph alone.",
    "features": "The inputs beside the history are the features of its activities, aligned with "
    "it, and those of the user and the moment. An id is the position of a value in its list, from "
    "1; a number is as in the log; an age is the number of seconds from an activity to now.",
    "unknown features": "An unknown id is 0, an unknown number NaN, and an unknown age -1; any "
    "other invalid value is unknown too. All features may be unknown.",
    "state": "No state is kept between calls.",
}


def describe(conversion: Conversion) -> dict[str, Any]:
    """Return the content of the model.json inside the file.

    The label values of a head are listed under its first output, the expected value of the label.
    """
    run, product = conversion.source, conversion.product
    heads = {head.outputs[0]: head for head in run.model.heads.values()}
    return {
        **{output: list(head.values) for output, head in heads.items()},
        "format": bundle.FORMAT,
        "run": run.directory.path.absolute().name,
        **asdict(conversion.release),
        "log_until": run.summary.protocol.log_summary.until,
        "encoder": run.config.model.encoder,
        "embedding_dim": run.config.model.embedding_dim,
        **asdict(conversion.shapes),
        "signatures": _signatures(product.graph),
        "features": [_feature(each) for each in run.model.features],
        "adapt": None if conversion.adapt is None else asdict(conversion.adapt),
        "rules": RULES | {output: head.rule for output, head in heads.items()},
        "vocabulary": {"size": run.vocabulary.size, "sha256": run.vocabulary.digest},
        "boost": 0.0 if conversion.new_items is None else conversion.new_items.boost,
        "new_items": None if conversion.new_items is None else asdict(conversion.new_items),
        "described_items": run.catalogue.filter(DESCRIBES).height,
        "recipe": product.recipe,
        "min_runtime": min_runtime(product.recipe, product.facts.operators),
        "graph": {
            "bytes": len(product.graph),
            "sha256": bundle.sha256(product.graph),
            "weight_bytes": product.facts.weight_bytes,
            "operators": product.facts.operators,
        },
        "parity": asdict(product.parity),
        "evaluation": {
            "protocol": _without_notes(run.summary.protocol),
            "test": _flat(run.summary.test),
            "baselines": {name: _flat(each) for name, each in run.summary.baselines.items()},
            f"recall@{RECALL_AT} through the file": product.recall,
        },
        "churn": None if conversion.changes is None else _churn(conversion.changes),
        "recipes": {
            recipe: {
                "bytes": len(other.graph),
                "weight_bytes": other.facts.weight_bytes,
                "score_error": other.parity.score_error,
                "overlap": other.parity.overlap,
                f"recall@{RECALL_AT}": other.recall,
            }
            for recipe, other in conversion.products.items()
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
        },
    }


def _feature(feature: Feature) -> dict[str, Any]:
    """Return owner, kind and values of an input, and the value that stands for an unknown one.

    JSON has no NaN, the value of an unknown number: it becomes null.
    """
    unknown = None if feature.kind == "number" else feature.unknown
    return {
        "name": feature.name,
        "of": feature.of,
        "kind": feature.kind,
        "values": list(feature.values),
        "unknown": unknown,
    }


def _without_notes(protocol: Protocol) -> dict[str, Any]:
    """Return a protocol without the notes on the log, which may quote the id of a user."""
    log_summary = replace(protocol.log_summary, notes=())
    return asdict(replace(protocol, log_summary=log_summary))


def _flat(figures: Figures) -> dict[str, Any]:
    """Return each metric, and its interval as <name>_interval, as in file format 1."""
    figures_by_name = _with_intervals(figures.means, figures.intervals)
    return {**figures_by_name, f"coverage@{COVERAGE_AT}": figures.coverage}


def _with_intervals(
    means: Mapping[str, float], intervals: Mapping[str, tuple[float, float]]
) -> dict[str, Any]:
    return {**means, **{f"{name}_interval": each for name, each in intervals.items()}}


def _churn(changes: ListChanges) -> dict[str, Any]:
    """Return the churn since a previous file, with each interval as <name>_interval."""
    churn = changes.churn
    return {
        "previous": changes.previous,
        **_with_intervals(churn.means, churn.intervals),
        "users": churn.users,
        **{f"{name}_items": count for name, count in changes.items._asdict().items()},
    }


def _signatures(graph: bytes) -> dict[str, Any]:
    """Return dtype and shape of the inputs and outputs of every signature, by name."""
    return {
        name: {
            side: {port: {"dtype": dtype, "shape": list(shape)} for port, (dtype, shape) in ports}
            for side, ports in (("inputs", each.inputs.items()), ("outputs", each.outputs.items()))
        }
        for name, each in DeviceModel(graph).signatures.items()
    }


def render(model: dict[str, Any]) -> str:
    """Format model.json as Markdown, for people."""
    protocol, test = model["evaluation"]["protocol"], model["evaluation"]["test"]
    signatures = [
        f"- `{name}`: {_format_ports(each['inputs'])} -> {_format_ports(each['outputs'])}"
        for name, each in model["signatures"].items()
    ]
    low, high = test[f"recall@{RECALL_AT}_interval"]
    described = f"{model['described_items']:,}" if model["described_items"] else "none"
    seen = "may be recommended" if model["keep_seen"] else "are excluded"
    paragraphs = [
        f"# {model['run']}",
        f"Recommends the next of {model['vocabulary']['size']:,} items from the last "
        f"{model['history_length']} items of a user, on the user's own device. Encoder: "
        f"{model['encoder']}; weights: {model['recipe']}. Items of the history {seen}. Items with "
        f"a title, genres or year: {described}.",
        f"Number {model['sequence']} of its sequence, created {model['created']}, from a log until "
        f"{model['log_until'] or 'an unknown time'}.",
        "## Signatures",
        "\n".join(signatures),
        "## Rules",
        "\n".join(f"- {name}: {rule}" for name, rule in model["rules"].items()),
        "## Evaluation",
        f"recall@{RECALL_AT} {test[f'recall@{RECALL_AT}']:.4f} ({low:.4f} to {high:.4f}, "
        f"{protocol['interval']}), "
        f"{model['evaluation'][f'recall@{RECALL_AT} through the file']:.4f} through this file; "
        f"NDCG@10 {test['ndcg@10']:.4f}; {protocol['dataset']}, {protocol['split']}, "
        f"{protocol['test_users']:,} test users, {protocol['candidates']:,} candidates, "
        f"{describe_history(protocol['excludes_history'])}"
        f"{f', {KNOWS_TARGET_TIME}' if protocol['knows_target_time'] else ''}.",
        *([describe_boost(BoostEffect(**model["new_items"]))] if model["new_items"] else []),
        f"Its lists contain {model['parity']['overlap']:.1%} of the top ten of the JAX model.",
        *_churn_lines(model["churn"]),
        "## Versions",
        f"Runs in {_format_versions(model['min_runtime'], ' or later, ')} or later. Made with "
        f"{_format_versions(model['versions'])}.",
    ]
    return "\n\n".join(paragraphs) + "\n"


def _churn_lines(churn: dict[str, Any] | None) -> list[str]:
    """Format the churn since a previous file, if there is one."""
    if churn is None:
        return []
    return [
        f"Since the previous file ({churn['previous'][:12]}...), lists share {churn[OVERLAP]:.1%} "
        f"of their top ten, {churn[SAME_FIRST]:.1%} begin with the same item, and "
        f"{churn[CHANGED_ITEMS]:.1%} have other items though the history is the same; "
        f"{churn['users']:,} test users. {churn['added_items']:,} items are new, and "
        f"{churn['removed_items']:,} are gone."
    ]


def _format_ports(ports: dict[str, Any]) -> str:
    return ", ".join(f"{name} {each['dtype']} {each['shape']}" for name, each in ports.items())


def _format_versions(versions: dict[str, str], separator: str = ", ") -> str:
    return separator.join(f"{name} {number}" for name, number in versions.items())
