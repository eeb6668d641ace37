"""The package: what a conversion leaves in its folder, made whole and put there at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxrec.conversion import card
from jaxrec.conversion.measure.latency import machine
from jaxrec.conversion.product import Conversion
from jaxrec.files import as_json, replacing
from jaxrec.runs.directory import CATALOGUE
from jaxrec.runtime import bundle
from jaxrec.runtime.catalogue import pack_catalogue


def package(conversion: Conversion) -> dict[str, bytes]:
    """Give the content of each file, by name."""
    model = card.describe(conversion)
    tflite = pack(conversion, model)
    times = {recipe: product.latency for recipe, product in conversion.products.items()}
    beside = {
        **model,
        "file": {"bytes": len(tflite), "sha256": bundle.sha256(tflite)},
        # Inside the file a time would make every conversion differ.
        "latency": {"machine": machine(), "unit": "µs", "recipes": times},
    }
    return {
        conversion.source.directory.model_file.name: tflite,
        bundle.MODEL: as_json(beside),
        # For apps that have no `Recommender` to read it in the file.
        CATALOGUE: as_json(conversion.source.catalogue.to_dict(as_series=False), indent=None),
    }


def pack_for_servers(conversion: Conversion) -> dict[str, bytes]:
    """Give the file of a batch of histories, by its name."""
    name = f"model-batch{conversion.shapes.batch_size}.tflite"
    return {name: pack(conversion, card.describe(conversion))}


def pack(conversion: Conversion, model: dict[str, Any]) -> bytes:
    """Put vocabulary, catalogue and model card behind a flatbuffer."""
    source = conversion.source
    vocabulary = {"digest": source.vocabulary.digest, "values": source.vocabulary.values.to_list()}
    members = {
        bundle.VOCABULARY: as_json(vocabulary, indent=None),
        bundle.CATALOGUE: pack_catalogue(source.catalogue.to_dict(as_series=False)),
        bundle.MODEL: as_json(model),
        bundle.CARD: card.render(model).encode(),
    }
    return bundle.pack(conversion.product.graph, members)


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Put each file in its place at once; take away what an older export left.

    A writer that is killed between two files leaves both whole; model.json holds the model's hash,
    by which a reader sees that they are not of one export.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        with replacing(folder / name) as file:
            file.write(content)
    for old in folder.glob("model-batch*.tflite"):
        if old.name not in files:
            old.unlink()
