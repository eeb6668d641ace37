"""Turn a finished run into the one .tflite file that an app ships, and prove it equal.

    python convert/to_tflite.py
    python convert/to_tflite.py --run-dir=runs/ml-1m-rnn-n10 --recipe=float16 --top-k=20
    python convert/to_tflite.py --ids-only
    python convert/to_tflite.py --adapt

Takes the newest finished run under runs/, tries all three recipes, prints them side by side, and
writes into <run>/export/:

    model.tflite      four signatures, recommend, encode, score and vectors; vocabulary, catalogue
                      and model card inside, readable by any zip tool
    model.json        what the file is, what it takes and gives, and every figure
    catalogue.json    item, title, genres and year of each id, in columns

A file that does not say what its model says is not written: exit code 1.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import polars as pl
import tyro
from tqdm import tqdm

from convert.build.package import pack_for_servers, package, write
from convert.build.shapes import choose_shapes
from convert.measure.latency import machine
from convert.measure.recall import RECALL_AT
from convert.product import Conversion, Product, choose, make, time_by_top_k, time_in_turn
from convert.prove.distance import Reference, refer
from convert.recipes import RECIPES, Recipe
from convert.restore import RestoredRun, restore
from jaxrec.command_line import command
from jaxrec.config import given
from jaxrec.data.interactions import DESCRIPTION
from jaxrec.errors import FailedCheckError, UserError
from jaxrec.files import require_room
from jaxrec.models.adapter import AdaptConfig
from jaxrec.runs.directory import newest
from jaxrec.runs.heldout import Heldout
from jaxrec.text_table import lay_out
from jaxrec.training.compilation_cache import keep_compiled

# Lists as short as pages and apps show them, whose time stands beside that of the file's own. Among
# many items to choose some is little of a call, however few.
SHORT = (10, 20)
MANY_ITEMS = 100_000

# Of a large catalogue a file is proven, and its recall taken, on fewer held-out histories: of a
# million items a call takes 12 ms, by each of two or three files.
MOST_SCORES = 400_000_000
FEWEST_HISTORIES = 300

# Of a score: more would be larger than any there is.
MOST_BOOST = 100


@dataclass(frozen=True)
class ConvertFlags:
    """What is converted, and into what."""

    run_dir: Path | None = None
    """a finished run; default: the newest under runs/"""
    new_items: Path | None = None
    """a table of items that came after training, of a run with --item-features: they are added
    behind the others, which keep their numbers"""
    boost: float = 0.0
    """with --new-items: what is added to their scores; experiments/cold_start.py finds how much the
    others bear"""
    recipe: Recipe | None = None
    """how the weights are stored, tried beside float32 alone; default: of all, the smallest that
    loses less than 1% of the float32 file's recall@10 on the held-out users"""
    top_k: int | None = None
    """items that `recommend` gives; default: 100, or as many as there are"""
    candidates: int = 100
    """items that one call of `score` takes"""
    keep_seen: bool = False
    """let `recommend` give items of the history too; a run with --keep-seen always does"""
    ids_only: bool = False
    """leave titles, genres and years out, where a licence forbids to pass them on"""
    batch_size: int = 1
    """histories in a call; above 1, model-batch<B>.tflite is written too, for servers"""
    adapt: bool = False
    """let the file learn of its user, on the device: a signature `adapt` more, and `adapter` in the
    others; experiments/personalize.py finds whether that helps, and with what settings"""
    adapting: tyro.conf.OmitArgPrefixes[AdaptConfig] = field(default_factory=AdaptConfig)
    export_dir: Path | None = None
    """where the files go; default: <run>/export"""


def run(flags: ConvertFlags) -> None:
    """Restore, export, quantize, check, measure, write.

    Raises:
        UserError: anything that the user can mend.
        FailedCheckError: the file that was asked for is not equal to its model.
    """
    if flags.boost and flags.new_items is None:
        raise UserError(f"--boost={flags.boost:g} is for new items; name them with --new-items")
    if not abs(flags.boost) <= MOST_BOOST:
        raise UserError(
            f"--boost={flags.boost:g} is out of range; give it -{MOST_BOOST} to {MOST_BOOST}"
        )
    if not flags.adapt:
        for flag, value in given(flags.adapting, AdaptConfig).items():
            raise UserError(f"{flag}={value} says how a file learns; give --adapt too")
    source = restore(flags.run_dir or newest().path, flags.new_items, flags.boost)
    adapt = _adapting(flags, source)
    ended = datetime.fromtimestamp(source.directory.ended)
    print(f"{source.directory.path}, which ended {ended:%Y-%m-%d %H:%M}")
    if source.said:
        print(source.said)
    source = replace(source, heldout=_enough(source.heldout, source.vocabulary.size))
    if flags.ids_only:
        nothing = {name: pl.lit(None, kind) for name, kind in DESCRIPTION.items()}
        source = replace(source, catalogue=source.catalogue.with_columns(**nothing))
    if warning := _beyond_a_browser(source.vocabulary.values.to_list()):
        print(warning)
    shapes = choose_shapes(
        batch_size=flags.batch_size,
        history_length=source.config.data.history_length,
        top_k=flags.top_k,
        candidates=flags.candidates,
        keep_seen=flags.keep_seen or source.config.data.keep_seen,
        vocabulary_size=source.vocabulary.size,
    )
    single = replace(shapes, batch_size=1)
    export_dir = flags.export_dir or source.directory.model_file.parent
    require_room(export_dir)
    # TensorFlow takes seconds to import: a mistake is answered before.
    from convert.build.export import export_model

    # Of float32 more is asked, and every other is held against it.
    recipes: list[Recipe] = [
        each for each in RECIPES if flags.recipe in (None, each) or each == "float32"
    ]
    with tqdm(total=len(recipes) + 3, unit="step", disable=None, leave=False) as bar:
        exported = export_model(source.model, single, adapt)
        reference = refer(
            source.model,
            source.heldout,
            top_k=shapes.top_k,
            keep_seen=shapes.keep_seen,
            adapt=adapt,
        )
        bar.update()
        products, failures = _make_all(recipes, exported, source, reference, bar)
        best = choose(products, failures, flags.recipe)
        products = time_in_turn(products, source.heldout)
        conversion = Conversion(source, single, products[best], products, flags.boost, adapt)
        shorter = [k for k in SHORT if k < shapes.top_k and source.vocabulary.size < MANY_ITEMS]
        by_top_k = {}
        if shorter:
            top_ks = [*shorter, shapes.top_k]
            by_top_k = time_by_top_k(products[best], top_ks, source.heldout)
        bar.update()
        files = package(conversion)
        if shapes.batch_size > 1:
            exported = export_model(source.model, shapes)
            # A server has no one to learn of.
            server = make(exported, source, replace(reference, adapt=None), best)
            conversion_of_many = replace(conversion, shapes=shapes, product=server, adapt=None)
            files |= pack_for_servers(conversion_of_many)
        bar.update()
    write(export_dir, files)
    print(_side_by_side(conversion, failures))
    if by_top_k:
        print(_by_top_k(by_top_k))
    made = source.directory.model_file.name
    print(f"\n{export_dir / made}: {best}, {len(files[made]):,} bytes")


def _adapting(flags: ConvertFlags, source: RestoredRun) -> AdaptConfig | None:
    """Say how the file learns of its user, if it shall.

    Raises:
        UserError: it could not.
    """
    if not flags.adapt:
        return None
    if flags.adapting.held_back == 0:
        raise UserError(
            "--held-back=0 leaves nothing to tell whether it helped, and a user may be worse off; "
            "give 1 or more"
        )
    flags.adapting.require_more_than(source.config.data.history_length)
    if source.model.features:
        raise UserError(
            f"{source.directory.path} knows features of activities or users, which an adapter does "
            "not learn with; convert it without --adapt, or a run without them"
        )
    return flags.adapting


def _enough(heldout: Heldout, items: int) -> Heldout:
    """Take so many held-out histories that a proof takes no minutes; of few items, all."""
    most = max(MOST_SCORES // items, FEWEST_HISTORIES)
    return heldout.some(most) if most < len(heldout.target) else heldout


def _beyond_a_browser(items: Sequence[int | str]) -> str | None:
    """Say that a page could not tell items apart, if so: its numbers are exact up to 2^53 - 1."""
    beyond = [each for each in items if isinstance(each, int) and abs(each) > 2**53 - 1]
    if not beyond:
        return None
    return (
        f"{len(beyond):,} ids are beyond 2^53 - 1, as {beyond[0]}: a browser will refuse the file; "
        "for the page write ids as text in the log"
    )


def _make_all(
    recipes: Sequence[Recipe],
    exported: bytes,
    source: RestoredRun,
    reference: Reference,
    bar: tqdm,
) -> tuple[dict[Recipe, Product], dict[Recipe, FailedCheckError]]:
    """Make the product of each recipe; those that fail are kept apart."""
    products, failures = {}, {}
    for recipe in recipes:
        bar.set_description(recipe)
        try:
            products[recipe] = make(exported, source, reference, recipe)
        except FailedCheckError as error:
            failures[recipe] = error
        bar.update()
    return products, failures


def _side_by_side(conversion: Conversion, failures: Mapping[Recipe, FailedCheckError]) -> str:
    """Put the recipes side by side."""
    source, shapes, chosen = conversion.source, conversion.shapes, conversion.product
    model = source.config.model
    told, test = source.summary.protocol, source.summary.test
    seen = "kept" if shapes.keep_seen else "left out"
    lines = [
        f"{model.encoder}, N = {shapes.history_length}, "
        f"d = {model.embedding_dim}, {source.vocabulary.size:,} items, top {shapes.top_k}, items "
        f"of the history {seen}",
        f"parity on {chosen.parity.histories:,} histories; recall@{RECALL_AT} on "
        f"{len(source.heldout.target):,} held-out targets ({told.dataset}, {told.split}, "
        f"seen items {told.seen_items}), {test.means['recall@10']:.4f} in JAX",
        f"time of a call: {machine()}, µs",
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
    lines.append(lay_out(cells))
    lines += [f"{recipe} failed: {error}" for recipe, error in failures.items()]
    return "\n".join(lines)


def _by_top_k(times: Mapping[int, float]) -> str:
    """Say what lists of several lengths cost."""
    *shorter, (top_k, time) = ((k, f"{time:.1f}") for k, time in times.items())
    others = ", ".join(f"{other} with --top-k={k}" for k, other in shorter)
    return f"\na call takes {time} µs with the {top_k} items of its list; {others}"


main = command(
    run,
    remedy="free or open the place, or give another --export-dir",
    interrupted="the files of an older export are as they were",
    before=keep_compiled,
)

if __name__ == "__main__":
    sys.exit(main())
