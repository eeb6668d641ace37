"""The configuration of a run: its data, its model and its training."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from jaxrec.config.fields import Flat, check, differing_flags, setting
from jaxrec.config.toml_file import (
    FORMAT,
    as_table,
    require_format,
    with_new_names,
    with_table,
    write_table,
)
from jaxrec.data.data_config import DataConfig
from jaxrec.errors import UserError
from jaxrec.files import reading
from jaxrec.models.model_config import ModelConfig

SamplerName = Literal["auto", "uniform", "log-uniform", "batch"]

# Settings that earlier runs of this format lack; their defaults are what those did.
_ADDED = {"forget-items"}


@dataclass(frozen=True)
class TrainConfig:
    """Training: the loss, the optimizer and the duration."""

    epochs: int = setting(30, 1, 100_000)
    """maximum number of passes over the training targets, with --from-run of a third as many;
    --patience may stop training earlier"""
    patience: int = setting(5, 1, 100_000, advanced=True)
    """stop after this many epochs without a better validation NDCG@10"""
    learning_rate: float | None = setting(None, 0.0, 10.0)
    """peak learning rate of AdamW, between a linear warm-up and a cosine decay to zero; default:
    0.00015 times the square root of the targets per step, as 0.003 for 400; transformer: at most
    0.006 divided by its blocks"""
    seed: int = setting(0, 0, 2**31 - 1)
    """random seed; the same seed gives the same run"""
    from_run: str | None = None
    """finished run on an older log of the same kind, as runs/yesterday, whose model and ids this
    run starts with; its settings of data and model must be the same; it also is the teacher"""
    forget_items: bool = setting(False, advanced=True)
    """with --from-run: drop its items that the log no longer has, which changes the ids of the
    others; default: they stay, and can be recommended"""
    batch_size: int | None = setting(None, 1, 1_000_000, advanced=True)
    """windows per step; if they are shorter, more of them, with the same number of targets;
    default: windows of 1,280 targets, or of a small log fewer, so that an epoch has some 500
    steps"""
    loss: Literal["auto", "full-softmax", "sampled-softmax"] = setting("auto", advanced=True)
    """softmax over the whole catalogue, or over sampled negatives; auto: over the whole catalogue
    of up to 5,000 items, unless --negatives is given"""
    negatives: int | None = setting(None, 1, 1_000_000, advanced=True)
    """number of sampled negatives, shared by the whole batch; default: 512 if the loss samples"""
    sampler: SamplerName = setting("auto", advanced=True)
    """distribution of the negatives: uniform over the items; log-uniform over the items ordered by
    popularity; or targets of the same batch; auto: batch if few items have most of the targets,
    else uniform"""
    teacher: str | None = setting(None, advanced=True)
    """finished runs on the same data or an older log, as runs/a,runs/b, to distill: the targets are
    partly the mean of their scores; one teacher improves a small model, several any model; default:
    the run of --from-run"""
    teacher_weight: float | None = setting(None, 0.0, 1.0, advanced=True)
    """weight of the teacher's scores in each target, and the next item has the rest; default: 0.5,
    for the run of --from-run 0.25"""
    window_length: int | None = setting(None, 1, 10_000, advanced=True)
    """targets in a window of a user's timeline, trained in one pass; default: N, but at least 20
    and at most 50; if many timelines fit into a window with its overlap, these are not cut"""
    window_overlap: int | None = setting(None, 0, 10_000, advanced=True, old_name="lead_in")
    """activities that a window reads before its first target in addition to the last one, so that
    no target of a long timeline is trained on a short history; default: N - 1, but at most 49"""
    table_optimizer: Literal["auto", "adamw", "rowwise-adagrad"] = setting("auto", advanced=True)
    """optimizer of the item embeddings and biases: of all rows in each step, or of the rows that
    the step reads, with one number of state per row; auto: rowwise-adagrad beyond 50,000 items"""
    warmup: float = setting(0.05, 0.0, 1.0, advanced=True)
    """share of the steps in which the learning rate warms up"""
    weight_decay: float = setting(0.01, 0.0, 10.0, advanced=True)
    """decoupled weight decay (AdamW), on matrices only"""
    clip_norm: float = setting(1.0, 1e-6, 1e6, advanced=True)
    """maximum norm of a gradient; a larger one is scaled down to it"""

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
            f"{older} has run format 7 or an older one, this version reads {FORMAT}; "
            "train the run again"
        )
    with reading(path):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        require_format(table.pop("format", None), path)
        table = with_new_names(Config(), table)
        config = with_table(Config(), table, path)
        # A missing key does not stand for its default: the file is truncated.
        if lacking := set(as_table(config)) - set(table) - _ADDED:
            raise ValueError(f"it lacks {min(lacking)}")
    return config


def differences(saved: Config, requested: Config) -> list[str]:
    """Return each setting in which two configurations differ, as "--flag: saved, not requested".

    The folder of the data may differ, because the same data may have moved.
    """
    return [
        line for line in differing_flags(saved, requested) if not line.startswith("--data-dir:")
    ]
