"""Configuration of an export: lists, weights, items, on-device adaptation, and what it replaces."""

from dataclasses import dataclass, field
from pathlib import Path

from jaxrec.config.fields import Flat, changed_flags
from jaxrec.conversion.recipes import Recipe
from jaxrec.errors import UserError
from jaxrec.models.adapter import AdaptConfig

# Limit of the boost of a score: no score itself is larger.
MAX_BOOST = 100


@dataclass(frozen=True)
class ExportConfig:
    """Settings of an export."""

    new_items: Path | None = None
    """table of items to add to a run with --item-features; their ids follow those of the others,
    which do not change"""
    new_items_cost: float | None = None
    """with --new-items: the share of recall@10 on the held-out users that the other items may lose,
    0.01 by default; the largest boost of the new items at that cost is added to their scores"""
    boost: float | None = None
    """with --new-items: constant added to their scores, instead of the one that is found"""
    recipe: Recipe | None = None
    """number format of the weights; default: of all three, the smallest file that loses less than
    1% of the float32 file's recall@10 on the held-out users"""
    top_k: int | None = None
    """number of items that `recommend` returns; default: 100, or as many as possible"""
    candidates: int = 100
    """number of items that one call of `score` takes"""
    keep_seen: bool = False
    """`recommend` may return items of the history; always so for a run with --keep-seen"""
    ids_only: bool = False
    """omit titles, genres and years, if a licence forbids their distribution"""
    batch_size: int = 1
    """histories per call; above 1, model-batch<B>.tflite is written too, for servers"""
    previous: Path | None = None
    """the .tflite file that this export replaces; prints how many lists change for the held-out
    users, and adds it to model.json"""
    adapt: bool = False
    """add on-device adaptation to the user: a signature `adapt`, and an input `adapter` of the
    others; experiments/studies/personalization measures whether it helps, with which settings"""
    adapting: Flat[AdaptConfig] = field(default_factory=AdaptConfig)

    def __post_init__(self) -> None:
        """Check the values that depend on each other alone.

        Raises:
            UserError: if a value is out of range, or requires a flag that is not given.
        """
        given = {"--boost": self.boost, "--new-items-cost": self.new_items_cost}
        given = {flag: value for flag, value in given.items() if value is not None}
        for flag, value in given.items():
            if self.new_items is None:
                raise UserError(f"{flag}={value:g} needs --new-items")
        if len(given) == 2:
            raise UserError("--boost and --new-items-cost exclude each other; omit one of them")
        if self.boost is not None and not abs(self.boost) <= MAX_BOOST:
            raise UserError(
                f"--boost={self.boost:g} is out of range; give -{MAX_BOOST} to {MAX_BOOST}"
            )
        if self.new_items_cost is not None and not 0 <= self.new_items_cost < 1:
            raise UserError(
                f"--new-items-cost={self.new_items_cost:g} is out of range; give 0 or more, less "
                "than 1"
            )
        if not self.adapt:
            for flag, value in changed_flags(self.adapting).items():
                raise UserError(f"{flag}={value} needs --adapt")
