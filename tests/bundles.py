"""Model files built for tests, valid and malformed."""

import json
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.models.model import RecommenderModel
from jaxrec.runtime import Recommender, bundle
from jaxrec.runtime.catalogue import COLUMNS, Catalogue, pack_catalogue
from jaxrec.runtime.item_index import RawItem
from jaxrec.schema import Feature

# The evaluation that the page shows for a model.
_FIGURES = {"recall@10": 0.5, "recall@10_interval": [0.4, 0.6]}
_PROTOCOL = {
    "dataset": "made up",
    "split": "none",
    "test_users": 0,
    "candidates": 0,
    "excludes_history": True,
    "seed": 0,
    "leaks_the_future": False,
}
_MODEL_JSON = {
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


def make_bundle(
    model: RecommenderModel, shapes: Shapes, items: Sequence[RawItem], without: str | None = None
) -> bundle.Bundle:
    """Export a model as float32, without a proof and without item metadata.

    Args:
        without: Name of a signature to leave out.
    """
    # Only the extra `convert` has the packages.
    from jaxrec.conversion.graph.export import export
    from jaxrec.conversion.graph.placeholder_tables import build_placeholders
    from jaxrec.conversion.graph.signatures import build_signatures

    placeholders = build_placeholders(model)
    kept = [each for each in build_signatures(placeholders, shapes) if each.name != without]
    graph = export(kept, placeholders)
    columns = pack_catalogue({name: [None] * len(items) for name in COLUMNS})
    model_json = asdict(shapes) | {
        "features": [feature_entry(each) for each in model.features],
        **{head.outputs[0]: list(head.values) for head in model.heads.values()},
    }
    return bundle.Bundle(graph, list(items), Catalogue(items, columns), model_json)


def feature_entry(feature: Feature) -> dict[str, Any]:
    """Return the entry of a feature in model.json."""
    return {
        "name": feature.name,
        "of": feature.of,
        "kind": feature.kind,
        "values": list(feature.values),
        "unknown": None if feature.kind == "number" else feature.unknown,
    }


def recommender_of(source: bundle.Bundle) -> Recommender:
    """Load a bundle as a recommender, without a file on disk."""
    return Recommender.load(pack(source))


def save_bundle(source: bundle.Bundle, path: Path) -> Path:
    """Write a bundle to the single file that Python and the page read."""
    path.write_bytes(pack(source))
    return path


def pack(source: bundle.Bundle) -> bytes:
    """Return the content of the file of a bundle."""
    graph = {"bytes": len(source.graph), "sha256": bundle.sha256(source.graph)}
    digest = bundle.sha256(json.dumps(source.items).encode())
    vocabulary = {"size": len(source.items), "sha256": digest}
    parts = {"format": bundle.FORMAT, "graph": graph, "vocabulary": vocabulary}
    members = {
        bundle.VOCABULARY: {"values": source.items, "digest": digest},
        bundle.MODEL: {**_MODEL_JSON, **source.model, **parts},
    }
    content = {name: json.dumps(value).encode() for name, value in members.items()}
    content[bundle.CATALOGUE] = encode_catalogue(source.catalogue)
    return bundle.pack_bundle(source.graph, content)


def encode_catalogue(entries: Iterable[Mapping[str, Any]]) -> bytes:
    """Encode catalogue entries as the columns of a model file."""
    entries = list(entries)
    return pack_catalogue({name: [entry[name] for entry in entries] for name in COLUMNS})


def with_older_names(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a model.json under the names of format 2, without hashes of members."""
    protocol = {**model["evaluation"]["protocol"]}
    protocol["seen_items"] = "left out" if protocol.pop("excludes_history") else "kept"
    evaluation = {**model["evaluation"], "protocol": protocol}
    adapt = model.get("adapt")
    if adapt:
        names = {"held_out": "held_back", "learning_rate": "rate", "l2_penalty": "decay"}
        adapt = {names.get(key, key): value for key, value in adapt.items()}
    renamed = {**model, "evaluation": evaluation, "adapt": adapt}
    return {name: value for name, value in renamed.items() if name != "members"}


def save_in_format_1(
    path: Path, target: Path, change: Callable[[list[Any]], list[Any]] = lambda entries: entries
) -> None:
    """Write a model in format 1, with its catalogue as one JSON list, changed by `change`."""
    source = bundle.read_bundle(path)
    members = {
        bundle.VOCABULARY: {"values": source.items, "digest": source.model["vocabulary"]["sha256"]},
        "catalogue.json": change(list(source.catalogue)),
        bundle.MODEL: with_older_names(source.model) | {"format": 1},
    }
    content = {name: json.dumps(value).encode() for name, value in members.items()}
    target.write_bytes(bundle.pack_bundle(source.graph, content))


def rewrite_bundle(
    path: Path, target: Path, catalogue: Iterable[Mapping[str, Any]] | None = None, **members: Any
) -> None:
    """Write a copy of a model with another catalogue or other members: `model_json={...}`."""
    with zipfile.ZipFile(path) as archive:
        old = {name: archive.read(name) for name in archive.namelist()}
    graph = bundle.read_bundle(path).graph
    new = {name.replace("_json", ".json"): value for name, value in members.items()}
    old |= {name: json.dumps(value).encode() for name, value in new.items()}
    if catalogue is not None:
        old[bundle.CATALOGUE] = encode_catalogue(catalogue)
    model = json.loads(old.pop(bundle.MODEL))
    if "members" in model:
        model["members"] = bundle.hash_members(old)
    old[bundle.MODEL] = json.dumps(model).encode()
    target.write_bytes(bundle.pack_bundle(graph, old))
