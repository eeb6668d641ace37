"""Packages: the files of a conversion, built in memory and written atomically."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxrec.conversion import card
from jaxrec.conversion.export_folder import FILES, describe_files
from jaxrec.conversion.measure.latency import machine_name
from jaxrec.conversion.product import Conversion
from jaxrec.files import as_json, replacing
from jaxrec.runs.directory import CATALOGUE
from jaxrec.runtime import bundle
from jaxrec.runtime.catalogue import pack_catalogue


def build_package(
    conversion: Conversion, for_servers: Conversion | None = None
) -> dict[str, bytes]:
    """Return the content of each file, by name.

    Args:
        for_servers: the conversion of the file for batches of histories; None: there is none.
    """
    model, tflite = _pack_model(conversion)
    name = conversion.source.directory.model_file.name
    files = {name: tflite}
    if for_servers is not None:
        batched = f"model-batch{for_servers.shapes.batch_size}.tflite"
        _, files[batched] = _pack_model(for_servers)
    # For apps without a `Recommender` to read the catalogue inside the .tflite file.
    catalogue = conversion.source.catalogue.to_dict(as_series=False)
    files[CATALOGUE] = as_json(catalogue, indent=None)
    hashes = describe_files(files)
    times = {recipe: product.latency for recipe, product in conversion.products.items()}
    beside = {
        **model,
        FILES: hashes,
        "file": hashes[name],
        # Not inside the .tflite file: times would make the bytes of every conversion differ.
        "latency": {"machine": machine_name(), "unit": "µs", "recipes": times},
    }
    return {**files, bundle.MODEL: as_json(beside)}


def _pack_model(conversion: Conversion) -> tuple[dict[str, Any], bytes]:
    """Append vocabulary, catalogue and model card to a flatbuffer.

    Returns:
        The content of the model.json inside the file, and the file.
    """
    source = conversion.source
    described = card.describe(conversion)
    vocabulary = {"digest": source.vocabulary.digest, "values": source.vocabulary.values.to_list()}
    members = {
        bundle.VOCABULARY: as_json(vocabulary, indent=None),
        bundle.CATALOGUE: pack_catalogue(source.catalogue.to_dict(as_series=False)),
        bundle.CARD: card.render(described).encode(),
    }
    model = {**described, "members": bundle.hash_members(members)}
    members[bundle.MODEL] = as_json(model)
    return model, bundle.pack_bundle(conversion.product.graph, members)


def write_package(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write each file atomically, and delete server files and the signature of an older export.

    A process that is killed between two files leaves each of them intact. model.json has the hash
    of the .tflite file, so that a reader detects files of different exports.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        with replacing(folder / name) as file:
            file.write(content)
    for old in (*folder.glob("model-batch*.tflite"), *folder.glob(bundle.SIGNATURE)):
        if old.name not in files:
            old.unlink()
