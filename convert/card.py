"""The model card: what a file says of itself, to programs (model.json) and to people."""

import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np

from convert import bundle
from convert.interpreter import DeviceModel
from convert.product import Product
from convert.recall import RECALL_AT
from convert.restore import Run
from convert.shapes import Shapes

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
    "state": "None is kept between calls.",
}


def describe(run: Run, shapes: Shapes, product: Product, others: list[Product]) -> dict[str, Any]:
    """Give model.json as it stands inside the file.

    Args:
        others: every recipe that was tried, for comparison.
    """
    return {
        "format": bundle.FORMAT,
        "run": run.folder.absolute().name,
        "encoder": run.config.model.encoder,
        "embedding_dim": run.config.model.embedding_dim,
        **asdict(shapes),
        "signatures": _signatures(product.graph),
        "rules": RULES,
        "vocabulary": {"size": run.vocabulary.size, "sha256": run.vocabulary.digest},
        "recipe": product.recipe,
        "graph": {
            "bytes": len(product.graph),
            "sha256": bundle.sha256(product.graph),
            "weight_bytes": product.facts.weight_bytes,
            "operators": product.facts.operators,
        },
        "parity": asdict(product.parity),
        "evaluation": {
            "protocol": run.summary["protocol"],
            "test": run.summary["test"],
            "baselines": run.summary["baselines"],
            f"recall@{RECALL_AT} through the file": product.recall,
        },
        "recipes": {
            other.recipe: {
                "bytes": len(other.graph),
                "weight_bytes": other.facts.weight_bytes,
                "score_error": other.parity.score_error,
                "overlap": other.parity.overlap,
                f"recall@{RECALL_AT}": other.recall,
            }
            for other in others
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
        },
    }


def _signatures(graph: bytes) -> dict[str, Any]:
    """List names, types and shapes of every signature's inputs and outputs."""
    interpreter = DeviceModel(graph).interpreter
    listed = {}
    for name in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(name)
        listed[name] = {
            side: {
                key: {"dtype": np.dtype(each["dtype"]).name, "shape": each["shape"].tolist()}
                for key, each in details.items()
            }
            for side, details in (
                ("inputs", runner.get_input_details()),
                ("outputs", runner.get_output_details()),
            )
        }
    return listed


def render(model: dict[str, Any]) -> str:
    """Write model.json down for people, as Markdown."""
    protocol, test = model["evaluation"]["protocol"], model["evaluation"]["test"]
    signatures = [
        f"- `{name}`: {_ends(each['inputs'])} -> {_ends(each['outputs'])}"
        for name, each in model["signatures"].items()
    ]
    low, high = test[f"recall@{RECALL_AT}_interval"]
    seen = "may be in the lists" if model["keep_seen"] else "are left out of the lists"
    return "\n".join(
        [
            f"# {model['run']}",
            "",
            f"Recommends the next of {model['vocabulary']['size']:,} items from the last "
            f"{model['history_length']} that a user met, on the user's own device. Encoder: "
            f"{model['encoder']}; weights: {model['recipe']}. Items of the history {seen}.",
            "",
            "## Signatures",
            "",
            *signatures,
            "",
            "## Rules",
            "",
            *(f"- {name}: {rule}" for name, rule in model["rules"].items()),
            "",
            "## How good it is",
            "",
            f"recall@{RECALL_AT} {test[f'recall@{RECALL_AT}']:.4f} ({low:.4f} to {high:.4f}, "
            f"{protocol['interval']}), "
            f"{model['evaluation'][f'recall@{RECALL_AT} through the file']:.4f} through this file; "
            f"NDCG@10 {test['ndcg@10']:.4f}; {protocol['dataset']}, {protocol['split']}, "
            f"{protocol['test_users']:,} test users, {protocol['candidates']:,} candidates, seen "
            f"items {protocol['seen_items']}.",
            "",
            f"Its lists hold {model['parity']['overlap']:.1%} of the first ten of the JAX model.",
            "",
            "## Made with",
            "",
            ", ".join(f"{name} {number}" for name, number in model["versions"].items()),
            "",
        ]
    )


def _ends(ends: dict[str, Any]) -> str:
    return ", ".join(f"{name} {each['dtype']} {each['shape']}" for name, each in ends.items())
