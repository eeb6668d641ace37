"""Conversion of a finished run to its .tflite file, from the checkpoint to the files on disk."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import polars as pl

from jaxrec.conversion.boost import boost_new_items
from jaxrec.conversion.export_config import ExportConfig
from jaxrec.conversion.export_report import (
    render_changes,
    render_list_lengths,
    render_recipes,
)
from jaxrec.conversion.graph.shapes import Shapes, choose_shapes
from jaxrec.conversion.measure.changed_lists import ListChanges, compare_lists
from jaxrec.conversion.package import build_package, write_package
from jaxrec.conversion.previous_file import PreviousFile, read_previous_file
from jaxrec.conversion.product import (
    Conversion,
    Product,
    build_product,
    choose_recipe,
    time_by_top_k,
    time_in_turn,
)
from jaxrec.conversion.recipes import RECIPES, Recipe
from jaxrec.conversion.release import next_release
from jaxrec.conversion.restore import RestoredRun, restore_run
from jaxrec.conversion.verify.distance import Reference, compute_reference
from jaxrec.data.interactions import DESCRIPTION
from jaxrec.data.progress import ProgressDisplay, show_progress
from jaxrec.errors import FailedCheckError, UserError
from jaxrec.files import require_disk_space
from jaxrec.models.adapter import AdaptConfig
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.heldout import Heldout
from jaxrec.runs.run import Run
from jaxrec.runs.translation import ModelInputs

# Lengths of the lists that pages and apps show, timed beside the file's own top_k. With
# LARGE_CATALOGUE items or more they are not timed: top-k selection is then a small part of a call
# for every k.
SHORT_TOP_KS = (10, 20)
LARGE_CATALOGUE = 100_000

# With a large catalogue a file is verified, and its recall computed, on fewer held-out histories: a
# call takes 12 ms with a million items, and there are two or three files to call.
MAX_SCORES = 400_000_000
MIN_HISTORIES = 300


def export(
    run: Run | str | Path,
    *,
    export_dir: str | Path | None = None,
    recipe: Recipe | None = None,
    top_k: int | None = None,
    candidates: int = 100,
    keep_seen: bool = False,
    ids_only: bool = False,
    batch_size: int = 1,
    new_items: str | Path | None = None,
    new_items_cost: float | None = None,
    boost: float | None = None,
    previous: str | Path | None = None,
    adapt: AdaptConfig | None = None,
) -> Path:
    """Convert a finished run to one .tflite file, and verify the file against its JAX model.

    Args:
        run: a run, or its directory.
        export_dir: directory of the file, model.json and catalogue.json; None: the directory
            export/ of the run.
        recipe: number format of the weights, "float32", "float16" or "int8"; None: the smallest
            file that loses less than 1% of the float32 file's `recall@10`.
        top_k: number of items to recommend; None: 100, or as many as there are.
        candidates: number of items that one call of the signature `score` takes.
        keep_seen: whether to recommend items of the history too.
        ids_only: whether to leave out titles, genres and years.
        batch_size: histories per call; above 1, a second file is written for servers.
        new_items: table of items added after training, for a run with item features.
        new_items_cost: share of `recall@10` on the held-out users that the other items may lose;
            the largest boost of the new items at that cost is added to their scores; None: 0.01.
        boost: constant added to the scores of the new items; None: the one that is found.
        previous: the .tflite file that this one replaces; the churn between the two is printed and
            added to model.json. None: there is none.
        adapt: settings of on-device adaptation to the user; None: no adaptation.

    Returns:
        The path of the .tflite file.

    Raises:
        UserError: if the run is not finished, or an argument does not fit it.
        FailedCheckError: if the file does not match its model; nothing is written then.

    Example::

        file = jaxrec.export("runs/shop", recipe="float32", top_k=10)
        print(file, file.stat().st_size)
    """
    config = ExportConfig(
        new_items=None if new_items is None else Path(new_items),
        new_items_cost=new_items_cost,
        boost=boost,
        recipe=recipe,
        top_k=top_k,
        candidates=candidates,
        keep_seen=keep_seen,
        ids_only=ids_only,
        batch_size=batch_size,
        previous=None if previous is None else Path(previous),
        adapt=adapt is not None,
        adapting=adapt or AdaptConfig(),
    )
    directory = RunDirectory(run.path if isinstance(run, Run) else Path(run))
    return convert(directory, config, None if export_dir is None else Path(export_dir))


def convert(directory: RunDirectory, config: ExportConfig, export_dir: Path | None = None) -> Path:
    """Convert a finished run, verify the file, and write it with model.json and catalogue.json.

    Args:
        export_dir: directory of the files; None: the directory export/ of the run.

    Returns:
        The path of the .tflite file.

    Raises:
        UserError: if the run or a setting is invalid.
        FailedCheckError: if the requested file does not match its model.
    """
    source = restore_run(directory.path, config.new_items)
    adapt = _adapt_config(config, source)
    previous = config.previous and read_previous_file(config.previous, source.vocabulary)
    release = next_release(previous)
    _print_source(source)
    effect = boost_new_items(source, config)
    source = _reduce(source, config)
    shapes = choose_shapes(
        batch_size=config.batch_size,
        history_length=source.config.data.history_length,
        top_k=config.top_k,
        candidates=config.candidates,
        keep_seen=config.keep_seen or source.config.data.keep_seen,
        vocabulary_size=source.vocabulary.size,
    )
    single = replace(shapes, batch_size=1)
    export_dir = export_dir or source.directory.model_file.parent
    require_disk_space(export_dir)
    # TensorFlow takes seconds to import: invalid settings are reported first.
    from jaxrec.conversion.graph.export import export_model

    # float32 has the strictest limits, and is the baseline for the recall of the other recipes.
    recipes: list[Recipe] = [
        each for each in RECIPES if config.recipe in (None, each) or each == "float32"
    ]
    with show_progress(total=len(recipes) + 3, unit="step") as progress:
        exported = export_model(source.model, single, adapt)
        reference = compute_reference(
            source.model,
            source.heldout,
            top_k=shapes.top_k,
            keep_seen=shapes.keep_seen,
            adapt=adapt,
        )
        progress.update()
        products, failures = _build_products(recipes, exported, source, reference, progress)
        best = choose_recipe(products, failures, config.recipe)
        products = time_in_turn(products, source.heldout)
        changes = previous and _compare_lists(previous, products[best], single, source)
        conversion = Conversion(
            source, single, products[best], products, release, effect, adapt, changes
        )
        shorter = [
            k for k in SHORT_TOP_KS if k < shapes.top_k and source.vocabulary.size < LARGE_CATALOGUE
        ]
        by_top_k = {}
        if shorter:
            top_ks = [*shorter, shapes.top_k]
            by_top_k = time_by_top_k(products[best], top_ks, source.heldout)
        progress.update()
        for_servers = None
        if shapes.batch_size > 1:
            exported = export_model(source.model, shapes)
            # A server has no single user to adapt to.
            server = build_product(exported, source, replace(reference, adapt=None), best)
            for_servers = replace(conversion, shapes=shapes, product=server, adapt=None)
        files = build_package(conversion, for_servers)
        progress.update()
    write_package(export_dir, files)
    print(render_recipes(conversion, failures))
    if by_top_k:
        print(render_list_lengths(by_top_k))
    if changes:
        print(f"\n{render_changes(changes)}")
    file_name = source.directory.model_file.name
    print(f"\n{export_dir / file_name}: {best}, {len(files[file_name]):,} bytes")
    return export_dir / file_name


def _compare_lists(
    previous: PreviousFile, product: Product, shapes: Shapes, source: RestoredRun
) -> ListChanges:
    """Compare the lists of a previous file with those of a product."""
    items, features = source.vocabulary.values.to_list(), source.model.features
    inputs = ModelInputs(items, features, shapes.history_length)
    return compare_lists(previous, product.graph, shapes.keep_seen, source.heldout, inputs)


def _print_source(source: RestoredRun) -> None:
    """Print which run is converted, with notes on its items."""
    ended = datetime.fromtimestamp(source.directory.ended)
    print(f"{source.directory.path}, finished {ended:%Y-%m-%d %H:%M}")
    if source.notes:
        print(source.notes)
    if warning := _inexact_ids_warning(source.vocabulary.values.to_list()):
        print(warning)


def _reduce(source: RestoredRun, config: ExportConfig) -> RestoredRun:
    """Return the run with the held-out histories to verify on and the item descriptions to ship."""
    source = replace(source, heldout=_subsample(source.heldout, source.vocabulary.size))
    if config.ids_only:
        nothing = {name: pl.lit(None, kind) for name, kind in DESCRIPTION.items()}
        source = replace(source, catalogue=source.catalogue.with_columns(**nothing))
    return source


def _adapt_config(config: ExportConfig, source: RestoredRun) -> AdaptConfig | None:
    """Return the settings of on-device adaptation, or None without --adapt.

    Raises:
        UserError: if the settings or the run do not allow adaptation.
    """
    if not config.adapt:
        return None
    if config.adapting.held_out == 0:
        raise UserError(
            "--held-out=0 leaves no activity to evaluate the adapter on, which may be worse than "
            "none; give 1 or more"
        )
    config.adapting.require_more_than(source.config.data.history_length)
    if source.model.features:
        raise UserError(
            f"{source.directory.path} has features of activities or users, which --adapt does not "
            "support; export it without --adapt, or a run without features"
        )
    return config.adapting


def _subsample(heldout: Heldout, items: int) -> Heldout:
    """Return the held-out histories, thinned out evenly where MAX_SCORES would be exceeded."""
    most = max(MAX_SCORES // items, MIN_HISTORIES)
    return heldout.subsample(most) if most < len(heldout.target) else heldout


def _inexact_ids_warning(items: Sequence[int | str]) -> str | None:
    """Return a warning if ids exceed 2^53 - 1, up to which JavaScript's numbers are exact."""
    beyond = [each for each in items if isinstance(each, int) and abs(each) > 2**53 - 1]
    if not beyond:
        return None
    return (
        f"{len(beyond):,} ids are beyond 2^53 - 1, such as {beyond[0]}: browsers reject the file; "
        "for the demo page, write ids as text in the log"
    )


def _build_products(
    recipes: Sequence[Recipe],
    exported: bytes,
    source: RestoredRun,
    reference: Reference,
    progress: ProgressDisplay,
) -> tuple[dict[Recipe, Product], dict[Recipe, FailedCheckError]]:
    """Build the product of each recipe, and collect the errors of those that fail."""
    products, failures = {}, {}
    for recipe in recipes:
        progress.set_description(recipe)
        try:
            products[recipe] = build_product(exported, source, reference, recipe)
        except FailedCheckError as error:
            failures[recipe] = error
        progress.update()
    return products, failures
