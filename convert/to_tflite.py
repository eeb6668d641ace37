"""Turn a finished run into the one .tflite file that an app ships, and prove it equal.

    python convert/to_tflite.py
    python convert/to_tflite.py --run-dir=runs/ml-1m-rnn-n10 --recipe=float16 --top-k=20

Takes the newest finished run under runs/, tries all three recipes, prints them side by side, and
writes into <run>/export/:

    model.tflite      three signatures, recommend, encode and score; vocabulary, catalogue and
                      model card inside, readable by any zip tool
    model.json        what the file is, what it takes and gives, and every figure
    catalogue.json    title, genres and year of each id

A file that does not say what its model says is not written: exit code 1.
"""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from convert import bundle, card
from convert.compare import Reference, refer
from convert.histories import trials
from convert.latency import Contender, load, machine, measure, percentiles
from convert.product import Product, choose, make
from convert.quantize import RECIPES, Recipe
from convert.quiet import quiet
from convert.recall import RECALL_AT
from convert.restore import Run, newest_run, restore
from convert.shapes import Shapes, choose_shapes
from jaxrec.command_line import run_command
from jaxrec.errors import FailedCheckError
from jaxrec.features import ITEM
from jaxrec.files import replacing
from jaxrec.text_table import lay_out

EXPORT = "export"
TFLITE = "model.tflite"


@dataclass(frozen=True)
class Flags:
    """What is converted, and into what."""

    run_dir: Path | None = None
    """a finished run; default: the newest under runs/"""
    recipe: Recipe | None = None
    """how the weights are stored; default: the smallest that loses less than 1% of the float32
    file's recall@10 on the held-out users"""
    top_k: int | None = None
    """items that `recommend` gives; default: 100, or as many as there are"""
    candidates: int = 100
    """items that one call of `score` takes"""
    keep_seen: bool = False
    """let `recommend` give items of the history too; a run with --keep-seen always does"""
    batch_size: int = 1
    """histories in a call; above 1, model-batch<B>.tflite is written too, for servers"""
    export_dir: Path | None = None
    """where the files go; default: <run>/export"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert; give the exit code, 2 for what the user can mend, 1 for a file that is not equal."""
    return run_command(
        run,
        Flags,
        __doc__,
        arguments,
        remedy="free or open the place, or give another --export-dir",
        interrupted="the files of an older export are as they were",
    )


def run(flags: Flags) -> None:
    """Restore, export, quantize, check, measure, write.

    Raises:
        UserError: anything that the user can mend.
        FailedCheckError: the file that was asked for is not equal to its model.
    """
    source = restore(flags.run_dir or newest_run())
    shapes = choose_shapes(
        batch_size=flags.batch_size,
        history_length=source.config.data.history_length,
        top_k=flags.top_k,
        candidates=flags.candidates,
        keep_seen=flags.keep_seen or source.config.data.keep_seen,
        vocabulary_size=source.vocabulary.size,
    )
    single = replace(shapes, batch_size=1)
    export_dir = flags.export_dir or source.folder / EXPORT
    _require_writable(export_dir)
    # TensorFlow takes seconds to import: a mistake is answered before.
    from convert.export import export

    with tqdm(total=len(RECIPES) + 3, unit="step", disable=None, leave=False) as bar:
        exported = export(source.model, single)
        reference = refer(
            source.model,
            trials(source.heldout, source.vocabulary.size),
            top_k=shapes.top_k,
            keep_seen=shapes.keep_seen,
        )
        bar.update()
        products, failures = _make_all(exported, source, reference, bar)
        chosen = _chosen(products, failures, flags.recipe)
        latencies = _latencies(products, source)
        bar.update()
        files = _files(source, single, chosen, products, latencies)
        if shapes.batch_size > 1:
            server = make(export(source.model, shapes), source, reference, chosen.recipe)
            model = card.describe(source, shapes, server, products)
            files[f"model-batch{shapes.batch_size}.tflite"] = _bundle(source, server, model)
        bar.update()
    _write(export_dir, files)
    print(_report(source, single, chosen, products, failures, latencies))
    print(f"\n{export_dir / TFLITE}: {chosen.recipe}, {len(files[TFLITE]):,} bytes")


def _require_writable(folder: Path) -> None:
    """Find out before the work whether its result could be written.

    Raises:
        OSError: it could not.
    """
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    try:
        tempfile.TemporaryFile(dir=place).close()
    except OSError as error:
        error.filename = str(folder)
        raise


def _make_all(
    exported: bytes, source: Run, reference: Reference, bar: tqdm
) -> tuple[list[Product], dict[Recipe, FailedCheckError]]:
    """Make every recipe's product; those that fail are kept apart."""
    products, failures = [], {}
    for recipe in RECIPES:
        bar.set_description(recipe)
        try:
            products.append(make(exported, source, reference, recipe))
        except FailedCheckError as error:
            failures[recipe] = error
        bar.update()
    return products, failures


def _chosen(
    products: Sequence[Product],
    failures: Mapping[Recipe, FailedCheckError],
    recipe: Recipe | None,
) -> Product:
    """Take the product that was asked for, or else the smallest good one.

    Raises:
        FailedCheckError: it failed; without float32 there is nothing to compare others with.
    """
    if (recipe or "float32") in failures:
        raise failures[recipe or "float32"]
    if recipe is None:
        return choose(products)
    return next(product for product in products if product.recipe == recipe)


def _latencies(products: Sequence[Product], source: Run) -> dict[Recipe, dict[str, float]]:
    """Time the products in turn."""
    histories = source.heldout.history[ITEM]
    with quiet():
        contenders = [Contender(load(product.graph), histories) for product in products]
    times = measure(contenders)
    return {p.recipe: percentiles(each) for p, each in zip(products, times, strict=True)}


def _files(
    source: Run,
    shapes: Shapes,
    chosen: Product,
    products: list[Product],
    latencies: Mapping[Recipe, Mapping[str, float]],
) -> dict[str, bytes]:
    """Give the content of each file, by name."""
    model = card.describe(source, shapes, chosen, products)
    tflite = _bundle(source, chosen, model)
    beside = {
        **model,
        "file": {"bytes": len(tflite), "sha256": bundle.sha256(tflite)},
        # Inside the file a time would make every conversion differ.
        "latency": {"machine": machine(), "unit": "µs", "recipes": latencies},
    }
    return {TFLITE: tflite, bundle.MODEL: _json(beside), bundle.CATALOGUE: _catalogue(source)}


def _bundle(source: Run, product: Product, model: dict[str, Any]) -> bytes:
    vocabulary = {"digest": source.vocabulary.digest, "values": source.vocabulary.values.to_list()}
    members = {
        bundle.VOCABULARY: _json(vocabulary, indent=None),
        bundle.CATALOGUE: _catalogue(source),
        bundle.MODEL: _json(model),
        bundle.CARD: card.render(model).encode(),
    }
    return bundle.pack(product.graph, members)


def _catalogue(source: Run) -> bytes:
    return _json(source.catalogue, indent=None)


def _json(value: Any, indent: int | None = 2) -> bytes:
    return (json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
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


def _report(
    source: Run,
    shapes: Shapes,
    chosen: Product,
    products: Sequence[Product],
    failures: Mapping[Recipe, FailedCheckError],
    latencies: Mapping[Recipe, Mapping[str, float]],
) -> str:
    """Put the recipes side by side."""
    model = source.config.model
    told = source.summary["protocol"]
    seen = "kept" if shapes.keep_seen else "left out"
    lines = [
        f"{source.folder.name}: {model.encoder}, N = {shapes.history_length}, "
        f"d = {model.embedding_dim}, {source.vocabulary.size:,} items, top {shapes.top_k}, items "
        f"of the history {seen}",
        f"parity on {chosen.parity.histories:,} histories; recall@{RECALL_AT} on "
        f"{len(source.heldout.target):,} held-out targets ({told['dataset']}, {told['split']}, "
        f"seen items {told['seen_items']}), {source.summary['test']['recall@10']:.4f} in JAX",
        f"time of a call: {machine()}, µs",
        "",
    ]
    cells = [["", "weights", "graph", "score error", "top-10 overlap"]]
    cells[0] += [f"recall@{RECALL_AT}", "p50", "p90", "p99"]
    cells += [
        [
            product.recipe + (" *" if product is chosen else ""),
            f"{product.facts.weight_bytes / 1e3:,.1f} KB",
            f"{len(product.graph) / 1e3:,.1f} KB",
            f"{product.parity.score_error:.1e}",
            f"{product.parity.overlap:.4f}",
            f"{product.recall:.4f}",
            *(f"{time:.1f}" for time in latencies[product.recipe].values()),
        ]
        for product in products
    ]
    lines.append(lay_out(cells))
    lines += [f"{recipe} failed: {error}" for recipe, error in failures.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
