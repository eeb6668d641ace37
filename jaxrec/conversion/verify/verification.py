"""Verification of an exported .tflite file against its run."""

from pathlib import Path

from jaxrec.conversion.restore import restore_run
from jaxrec.conversion.verify.distance import Parity, Reference, compute_reference
from jaxrec.conversion.verify.proof import verify_graph
from jaxrec.errors import UserError
from jaxrec.models.adapter import AdaptConfig
from jaxrec.runtime.bundle import Bundle, read_bundle


def verify(
    model: str | Path, *, run_dir: str | Path | None = None, new_items: str | Path | None = None
) -> Parity:
    """Compare a .tflite file with the JAX model of its run.

    All held-out histories are compared, and some of them with the mistakes that an app may make.

    Args:
        model: a .tflite file that `jaxrec.export` wrote.
        run_dir: directory of its run; None: the run directory that contains the file.
        new_items: table of the new items in the file, if there are any.

    Returns:
        The distance of the file from its model, within the tolerances of the file's recipe.

    Raises:
        UserError: if a file is missing or damaged, or the file does not belong to the run.
        FailedCheckError: if the file does not match its model.

    Example::

        parity = jaxrec.verify("runs/shop/export/model.tflite")
        print(parity.histories, parity.score_error)
    """
    bundle, reference = load_reference(model, run_dir, new_items)
    return verify_graph(bundle.graph, reference, bundle.model["recipe"]).parity


def load_reference(
    model: str | Path,
    run_dir: str | Path | None,
    new_items: str | Path | None,
    histories: int | None = None,
) -> tuple[Bundle, Reference]:
    """Read a file, and compute the results of the JAX model of its run.

    Args:
        model: a .tflite file that `jaxrec.export` wrote.
        run_dir: directory of its run; None: the run directory that contains the file.
        new_items: table of the new items in the file, if there are any.
        histories: number of held-out histories, evenly spaced; None: all.

    Raises:
        UserError: if a file is missing or damaged, or the file does not belong to the run.
    """
    model = Path(model)
    bundle = read_bundle(model)
    folder = model.absolute().parent.parent if run_dir is None else Path(run_dir)
    items = None if new_items is None else Path(new_items)
    source = restore_run(folder, items, bundle.model.get("boost", 0.0))
    if bundle.model["vocabulary"]["sha256"] != source.vocabulary.digest:
        raise UserError(
            f"{model} has another vocabulary than {source.directory.path}; give its run with "
            "--run-dir, and its new items with --new-items"
        )
    heldout = source.heldout
    if histories is not None and histories < len(heldout.target):
        heldout = heldout.subsample(histories)
    settings = bundle.model.get("adapt")
    reference = compute_reference(
        source.model,
        heldout,
        top_k=bundle.model["top_k"],
        keep_seen=bundle.model["keep_seen"],
        adapt=None if settings is None else AdaptConfig(**settings),
    )
    return bundle, reference
