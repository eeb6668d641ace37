"""Models made for a test, and such that are not what they should be."""

import json
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from convert.build.shapes import Shapes
from jaxrec.models.model import RecommenderModel
from jaxrec.runtime import bundle
from jaxrec.runtime.known import RawItem
from jaxrec.schema import Feature

# What the page says of a model.
_FIGURES = {"recall@10": 0.5, "recall@10_interval": [0.4, 0.6]}
_PROTOCOL = {
    "dataset": "made up",
    "split": "none",
    "test_users": 0,
    "candidates": 0,
    "seen_items": "left out",
    "seed": 0,
    "leaks_the_future": False,
}
_SHOWN = {
    "run": "made up",
    "encoder": "rnn",
    "recipe": "float32",
    "evaluation": {
        "protocol": _PROTOCOL,
        "test": _FIGURES,
        "baselines": {},
        "recall@10 through the file": 0.5,
    },
}


def made(
    model: RecommenderModel, shapes: Shapes, items: Sequence[RawItem], but: str | None = None
) -> bundle.Bundle:
    """Export a model as float32, without a proof; nothing is known of its items.

    Args:
        but: a signature that is left out.
    """
    # TensorFlow warns of itself when it is imported.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from convert.build.export import export
        from convert.build.signatures import signatures
        from convert.build.stand_ins import stand_in

        stand_ins = stand_in(model)
        kept = [each for each in signatures(stand_ins, shapes) if each.name != but]
        graph = export(kept, stand_ins)
    nothing = {"title": None, "genres": None, "year": None}
    catalogue = [{"id": i, "item": item, **nothing} for i, item in enumerate(items, start=1)]
    said = asdict(shapes) | {
        "features": [described(each) for each in model.features],
        "ratings": model.rating and list(model.rating.values),
    }
    return bundle.Bundle(graph, list(items), catalogue, said)


def described(feature: Feature) -> dict[str, Any]:
    """Say of a feature what model.json says."""
    unknown = None if feature.kind == "number" else feature.unknown
    values = list(feature.values)
    return {
        "name": feature.name,
        "of": feature.of,
        "kind": feature.kind,
        "values": values,
        "unknown": unknown,
    }


def saved(made: bundle.Bundle, path: Path) -> Path:
    """Write a bundle as the one file that it is read from, in Python and by the page."""
    graph = {"bytes": len(made.graph), "sha256": bundle.sha256(made.graph)}
    digest = bundle.sha256(json.dumps(made.items).encode())
    vocabulary = {"size": len(made.items), "sha256": digest}
    parts = {"format": bundle.FORMAT, "graph": graph, "vocabulary": vocabulary}
    members = {
        bundle.VOCABULARY: {"values": made.items, "digest": digest},
        bundle.CATALOGUE: made.catalogue,
        bundle.MODEL: {**_SHOWN, **made.model, **parts},
    }
    content = {name: json.dumps(value).encode() for name, value in members.items()}
    path.write_bytes(bundle.pack(made.graph, content))
    return path


def rewritten(path: Path, target: Path, **members: Any) -> None:
    """Write a model anew with other members in its archive: `catalogue_json=[...]`."""
    with zipfile.ZipFile(path) as archive:
        old = {name: archive.read(name) for name in archive.namelist()}
    graph = bundle.read(path).graph
    new = {name.replace("_json", ".json"): value for name, value in members.items()}
    old |= {name: json.dumps(value).encode() for name, value in new.items()}
    target.write_bytes(bundle.pack(graph, old))
