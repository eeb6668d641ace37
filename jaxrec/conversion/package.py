"""Packages: the files of a conversion, built in memory and written atomically."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxrec.conversion import card
from jaxrec.conversion.measure.latency import machine_name
from jaxrec.conversion.product import Conversion
from jaxrec.files import as_json, replacing
from jaxrec.runs.directory import CATALOGUE
from jaxrec.runtime import bundle
from jaxrec.runtime.catalogue import pack_catalogue


def build_package(conversion: Conversion) -> dict[str, bytes]:
    """Return the content of each file, by name."""
    model = card.describe(conversion)
    tflite = pack_model(conversion, model)
    times = {recipe: product.latency for recipe, product in conversion.products.items()}
    beside = {
        **model,
        "file": {"bytes": len(tflite), "sha256": bundle.sha256(tflite)},
        # Not inside the .tflite file: times would make the bytes of every conversion differ.
        "latency": {"machine": machine_name(), "unit": "µs", "recipes": times},
    }
    return {
        conversion.source.directory.model_file.name: tflite,
        bundle.MODEL: as_json(beside),
        # For apps without a `Recommender` to read the catalogue inside the .tflite file.
        CATALOGUE: as_json(conversion.source.catalogue.to_dict(as_series=False), indent=None),
    }


def pack_for_servers(conversion: Conversion) -> dict[str, bytes]:
    """Return the content of the file for batches of histories, by its name."""
    name = f"model-batch{conversion.shapes.batch_size}.tflite"
    return {name: pack_model(conversion, card.describe(conversion))}


def pack_model(conversion: Conversion, model: dict[str, Any]) -> bytes:
    """Append vocabulary, catalogue and model card to a flatbuffer."""
    source = conversion.source
    vocabulary = {"digest": source.vocabulary.digest, "values": source.vocabulary.values.to_list()}
    members = {
        bundle.VOCABULARY: as_json(vocabulary, indent=None),
        bundle.CATALOGUE: pack_catalogue(source.catalogue.to_dict(as_series=False)),
        bundle.MODEL: as_json(model),
        bundle.CARD: card.render(model).encode(),
    }
    return bundle.pack_bundle(conversion.product.graph, members)


def write_package(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write each file atomically, and delete the server files of an older export.

    A process that is killed between two files leaves each of them intact. model.json has the hash
    of the .tflite file, so that a reader detects files of different exports.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        with replacing(folder / name) as file:
            file.write(content)
    for old in folder.glob("model-batch*.tflite"):
        if old.name not in files:
            old.unlink()
