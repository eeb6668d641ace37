"""The settings of `jaxrec.train` as keyword arguments, with their types.

They are the fields of the configuration, where their meanings and values are documented
(`jaxrec train --help-all`); a test holds the two equal.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypedDict

from jaxrec.config.experiment import SamplerName
from jaxrec.data.splits import SplitName
from jaxrec.runs.run import Run

Group = Mapping[str, int | float | str | bool | None]
"""The settings of one encoder, source or head, by name: `transformer={"blocks": 1}`."""


class Settings(TypedDict, total=False):
    """All settings of a run, except those of the log and of how it is read."""

    # The data.
    data_dir: str | None
    history_length: int
    item_features: str | None
    activity_features: str | None
    user_features: str | None
    time_gaps: bool
    time_features: str | None
    time_zone: str
    predict_ratings: bool
    target_weight: str | None
    target_events: str | None
    split: SplitName
    break_ties: int | None
    keep_seen: bool
    train_on_validation: bool
    validation_users: int | None
    test_users: int | None
    min_item_interactions: int
    min_user_interactions: int
    min_rating: float | None
    drop_duplicates: bool
    synthetic: Group
    rating: Group
    # The model.
    encoder: str
    embedding_dim: int
    hidden_units: int
    dense_layers: int
    dropout: float | None
    id_dropout: float
    tie_embeddings: bool
    rnn: Group
    cnn: Group
    transformer: Group
    # Training.
    epochs: int
    patience: int
    learning_rate: float | None
    seed: int
    from_run: Run | str | Path | None
    forget_items: bool
    batch_size: int | None
    loss: Literal["auto", "full-softmax", "sampled-softmax"]
    negatives: int | None
    sampler: SamplerName
    teacher: str | None
    teacher_weight: float | None
    window_length: int | None
    window_overlap: int | None
    table_optimizer: Literal["auto", "adamw", "rowwise-adagrad"]
    warmup: float
    weight_decay: float
    clip_norm: float
