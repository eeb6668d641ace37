"""The model's configuration; the settings of one encoder are defined beside that encoder."""

from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from flax import nnx

from jaxrec.config.fields import check, refuse_unused, setting
from jaxrec.models.encoders import encoder_class
from jaxrec.models.encoders.base import Encoder
from jaxrec.models.encoders.convolution import ConvolutionConfig
from jaxrec.models.encoders.recurrent import RecurrentConfig
from jaxrec.models.encoders.transformer import TransformerConfig


@dataclass(frozen=True)
class ModelConfig:
    """Model: an encoder of the history, dense layers, a dot product with every item."""

    encoder: str = "rnn"
    """encoder of the history; rnn: an LSTM; transformer: attention, with one block the fastest on a
    device; cnn: convolutions; bow: the mean of the items"""
    embedding_dim: int = setting(64, 1, 4096)
    """width of an item embedding"""
    hidden_units: int = setting(128, 1, 8192)
    """width of the encoder and of the dense layers after it"""
    dense_layers: int = setting(1, 0, 16, advanced=True)
    """dense layers with ReLU between the encoder and the projection to the query"""
    dropout: float | None = setting(None, 0.0, 0.95)
    """dropout rate after the embeddings and after the encoder; default: 0 for up to 5 epochs, else
    0.2, or 0.4 if an item has fewer than 30 training targets on average, and 0.1 more from 192
    hidden units on"""
    id_dropout: float = setting(0.0, 0.0, 0.95, advanced=True, old_name="own_dropout")
    """with --item-features: ID dropout, the share of items that a step embeds by their features
    alone; 0.02 to 0.1 improves recall of new items, and lowers that of the others"""
    tie_embeddings: bool = setting(True, advanced=True)
    """separate item tables for histories and candidates, which doubles the size of the file"""
    rnn: RecurrentConfig = field(default_factory=RecurrentConfig)
    cnn: ConvolutionConfig = field(default_factory=ConvolutionConfig)
    transformer: TransformerConfig = field(default_factory=TransformerConfig)

    def __post_init__(self) -> None:
        check(self)

    @property
    def encoder_settings(self) -> dict[str, Any]:
        """The settings that only one encoder reads, by its name."""
        parts = {spec.name: getattr(self, spec.name) for spec in fields(self)}
        return {name: part for name, part in parts.items() if is_dataclass(part)}

    def with_encoder(self, name: str) -> "ModelConfig":
        """Return the configuration with another encoder, and defaults for all others' settings."""
        settings = self.encoder_settings.items()
        others = {each: type(part)() for each, part in settings if each != name}
        return replace(self, encoder=name, **others)


def make_encoder(config: ModelConfig, width_in: int, *, rngs: nnx.Rngs) -> Encoder:
    """Initialize the encoder of a model.

    Raises:
        UserError: there is no encoder of this name, its settings do not fit each other, or settings
            of another encoder are given.
    """
    encoder, settings = encoder_class(config.encoder), config.encoder_settings
    for name, part in settings.items():
        if name != config.encoder:
            refuse_unused(part, f"--encoder={name}")
    return encoder(width_in, config.hidden_units, settings.get(config.encoder), rngs=rngs)


def check_encoder(config: ModelConfig) -> None:
    """Check the settings as `make_encoder` does, before any data is read.

    Raises:
        UserError: as `make_encoder`.
    """
    nnx.eval_shape(lambda: make_encoder(config, config.embedding_dim, rngs=nnx.Rngs(0)))
