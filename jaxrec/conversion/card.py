"""Model cards: the description of a file, for programs (model.json) and for people."""

import platform
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any

from jaxrec.conversion.measure.recall import RECALL_AT
from jaxrec.conversion.product import Conversion
from jaxrec.data.interactions import DESCRIBES
from jaxrec.evaluation.ranking import COVERAGE_AT
from jaxrec.runs.summary import Figures, Protocol
from jaxrec.runtime import bundle
from jaxrec.runtime.interpreter import DeviceModel
from jaxrec.schema import Feature

_LIBRARIES = (
    *("jaxrec", "jax", "jaxlib", "flax", "numpy"),
    *("tensorflow", "ai-edge-litert", "ai-edge-quantizer"),
)

RULES = {
    "default signature": "`recommend` is what a caller gets who names no signature.",
    "order": "A history runs from the oldest to the most recent item; the most recent stands last.",
    "padding": "0 fills a short history, on the left by custom; it weighs nothing wherever it "
    "stands.",
    "ids": "An id is the number of an item in vocabulary.json, the first being 1.",
    "unknown items": "Leave them out, or write 0 or any number that is no id: all are passed over, "
    "and what came before them counts.",
    "longer histories": "Give the last N items that are in the vocabulary.",
    "empty history": "All zeros give the popular items.",
    "scores": "Logits: higher is better, comparable within one call. A candidate that is unknown "
    "has about -1e9.",
    "vectors": "The product of a context with an item's vector, and its bias, are its score. "
    "What is unknown has a vector of zeros and the bias -1e9.",
    "adapter": "What `adapt` learned of one user from the last activities, known ids at the right "
    "end, each with a weight. It is added to the context; zeros change nothing, and are what comes "
    "out if it did not help with the activities that were held back. It is of this graph alone.",
    "features": "Beside the history stand the features of its activities, aligned with it, and of "
    "its user. An id is the place of a value in its list, the first being 1; a number is as in the "
    "log; an age is the seconds from an activity to now.",
    "unknown features": "0 is an unknown id, NaN an unknown number, -1 an unknown age, and so is "
    "whatever else cannot be one. All features may be unknown.",
    "state": "None is kept between calls.",
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
        "encoder": run.config.model.encoder,
        "embedding_dim": run.config.model.embedding_dim,
        **asdict(conversion.shapes),
        "signatures": _signatures(product.graph),
        "features": [_feature(each) for each in run.model.features],
        "adapt": None if conversion.adapt is None else asdict(conversion.adapt),
        "rules": RULES | {output: head.rule for output, head in heads.items()},
        "vocabulary": {"size": run.vocabulary.size, "sha256": run.vocabulary.digest},
        "boost": conversion.boost,
        "described_items": run.catalogue.filter(DESCRIBES).height,
        "recipe": product.recipe,
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
    return asdict(replace(protocol, intake=replace(protocol.intake, notes=())))


def _flat(figures: Figures) -> dict[str, Any]:
    """Return each metric, and its interval as <name>_interval, as in file format 1."""
    intervals = {f"{name}_interval": each for name, each in figures.intervals.items()}
    return {**figures.means, **intervals, f"coverage@{COVERAGE_AT}": figures.coverage}


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
    seen = "may be in the lists" if model["keep_seen"] else "are left out of the lists"
    paragraphs = [
        f"# {model['run']}",
        f"Recommends the next of {model['vocabulary']['size']:,} items from the last "
        f"{model['history_length']} that a user met, on the user's own device. Encoder: "
        f"{model['encoder']}; weights: {model['recipe']}. Items of the history {seen}. Titles, "
        f"genres and years of items inside: {described}.",
        "## Signatures",
        "\n".join(signatures),
        "## Rules",
        "\n".join(f"- {name}: {rule}" for name, rule in model["rules"].items()),
        "## How good it is",
        f"recall@{RECALL_AT} {test[f'recall@{RECALL_AT}']:.4f} ({low:.4f} to {high:.4f}, "
        f"{protocol['interval']}), "
        f"{model['evaluation'][f'recall@{RECALL_AT} through the file']:.4f} through this file; "
        f"NDCG@10 {test['ndcg@10']:.4f}; {protocol['dataset']}, {protocol['split']}, "
        f"{protocol['test_users']:,} test users, {protocol['candidates']:,} candidates, seen "
        f"items {protocol['seen_items']}"
        f"{', told the time of the target' if protocol['told_time'] else ''}.",
        f"Its lists hold {model['parity']['overlap']:.1%} of the first ten of the JAX model.",
        "## Made with",
        ", ".join(f"{name} {number}" for name, number in model["versions"].items()),
    ]
    return "\n\n".join(paragraphs) + "\n"


def _format_ports(ports: dict[str, Any]) -> str:
    return ", ".join(f"{name} {each['dtype']} {each['shape']}" for name, each in ports.items())
