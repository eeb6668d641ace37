"""Configuration of an export: lists, weights, items and on-device adaptation."""

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
    """a table of items that came after training, of a run with --item-features: they are added
    behind the others, which keep their numbers"""
    boost: float = 0.0
    """with --new-items: what is added to their scores; experiments/studies/cold_start finds how
    much the others bear"""
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
    others; experiments/studies/personalization finds whether that helps, and with what settings"""
    adapting: Flat[AdaptConfig] = field(default_factory=AdaptConfig)

    def __post_init__(self) -> None:
        """Check the values that depend on each other alone.

        Raises:
            UserError: if a value is out of range, or requires a flag that is not given.
        """
        if self.boost and self.new_items is None:
            raise UserError(f"--boost={self.boost:g} is for new items; name them with --new-items")
        if not abs(self.boost) <= MAX_BOOST:
            raise UserError(
                f"--boost={self.boost:g} is out of range; give it -{MAX_BOOST} to {MAX_BOOST}"
            )
        if not self.adapt:
            for flag, value in changed_flags(self.adapting).items():
                raise UserError(f"{flag}={value} says how a file learns; give --adapt too")
