"""The configuration of a run: its data, its model and its training."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from jaxrec.config.fields import Flat, check, differing_flags, setting
from jaxrec.config.toml_file import FORMAT, as_table, require_format, with_table, write_table
from jaxrec.data.data_config import DataConfig
from jaxrec.errors import UserError
from jaxrec.files import reading
from jaxrec.models.model_config import ModelConfig

SamplerName = Literal["auto", "uniform", "log-uniform", "batch"]


@dataclass(frozen=True)
class TrainConfig:
    """Training: the loss, the optimizer, how long."""

    epochs: int = setting(30, 1, 100_000)
    """passes over the training targets, at the most; training stops before that if the validation
    does not improve (--patience)"""
    patience: int = setting(5, 1, 100_000, advanced=True)
    """stop after so many epochs without a better validation NDCG@10"""
    learning_rate: float | None = setting(None, 0.0, 10.0)
    """the peak of AdamW's learning rate, between a linear warm-up and a cosine decay to zero; by
    default 0.00015 times the square root of the targets in a step, as 0.003 for 400"""
    seed: int = setting(0, 0, 2**31 - 1)
    """seed of all that is drawn; the same seed gives the same run"""
    batch_size: int | None = setting(None, 1, 1_000_000, advanced=True)
    """windows in a step, and of shorter timelines as many more as hold as many targets; by default
    as many as hold 1,280, or of a small log fewer, so that an epoch has some 500 steps"""
    loss: Literal["auto", "full-softmax", "sampled-softmax"] = setting("auto", advanced=True)
    """compare the target with the whole catalogue, or with sampled negatives; auto: with the whole
    of up to 5,000 items, unless --negatives are given"""
    negatives: int | None = setting(None, 1, 1_000_000, advanced=True)
    """sampled negatives, shared by the whole batch; by default 512 where the loss samples"""
    sampler: SamplerName = setting("auto", advanced=True)
    """where negatives come from: every item alike; log-uniform over the items ordered by
    popularity; or targets of the same batch; auto: the batch where few items have most targets,
    else every item"""
    teacher: str | None = setting(None, advanced=True)
    """finished runs on the same data, as runs/a,runs/b: the mean of their scores counts as much as
    the target (distillation); a small model becomes better for one, any model for several"""
    window_length: int | None = setting(None, 1, 10_000, advanced=True)
    """targets in a window of one user's timeline, all learned in one pass; by default N, but 20 at
    the least and 50 at the most; where many timelines fit with their lead-in, these are not cut"""
    lead_in: int | None = setting(None, 0, 10_000, advanced=True)
    """activities that a window reads before its first target beside the last one, so that no target
    of a long timeline is learned from a short history; by default N - 1, but 49 at the most"""
    table_optimizer: Literal["auto", "adamw", "rowwise-adagrad"] = setting("auto", advanced=True)
    """how items' vectors and biases learn: all of them at each step, or those that it touched, with
    one number of state a row; auto: by rows beyond 50,000 items"""
    warmup: float = setting(0.05, 0.0, 1.0, advanced=True)
    """share of the steps that warm up"""
    weight_decay: float = setting(0.01, 0.0, 10.0, advanced=True)
    """decoupled weight decay (AdamW), on matrices only"""
    clip_norm: float = setting(1.0, 1e-6, 1e6, advanced=True)
    """largest norm of a gradient; a larger one is scaled down to it"""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Config:
    """The configuration of a run: all settings that determine the trained model."""

    data: Flat[DataConfig] = field(default_factory=DataConfig)
    model: Flat[ModelConfig] = field(default_factory=ModelConfig)
    train: Flat[TrainConfig] = field(default_factory=TrainConfig)


def save_config(config: Config, path: Path) -> None:
    """Write the configuration of a run as TOML."""
    write_table(as_table(config), path)


def load_config(path: Path) -> Config:
    """Read a configuration that `save_config` wrote.

    Raises:
        UserError: the file is missing, damaged, or of another format.
    """
    older = path.with_suffix(".json")
    if older.exists() and not path.exists():
        raise UserError(
            f"{older} has run format {FORMAT - 1} or an older one, this version reads {FORMAT}; "
            "train the run again"
        )
    with reading(path):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        require_format(table.pop("format", None), path)
        config = with_table(Config(), table, path)
        # A missing key does not stand for its default: the file is truncated.
        if lacking := set(as_table(config)) - set(table):
            raise ValueError(f"it lacks {min(lacking)}")
    return config


def differences(saved: Config, requested: Config) -> list[str]:
    """Return each setting in which two configurations differ, as "--flag: saved, not requested".

    The folder of the data may differ, because the same data may have moved.
    """
    return [
        line for line in differing_flags(saved, requested) if not line.startswith("--data-dir:")
    ]
