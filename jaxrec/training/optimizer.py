"""The optimizer: AdamW with clipped gradients, warm-up and decay."""

import jax
import optax

from jaxrec.config.experiment import TrainConfig


def rate_schedule(config: TrainConfig, total_steps: int) -> optax.Schedule:
    """Give the learning rate of each step: linear warm-up, and cosine decay to zero."""
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=config.learning_rate,
        warmup_steps=round(config.warmup * total_steps),
        decay_steps=total_steps,
    )


def make_optimizer(config: TrainConfig, total_steps: int) -> optax.GradientTransformation:
    """AdamW with clipped gradients.

    Weight decay pulls on matrices alone: a bias that is pulled to zero forgets how popular its
    item is.
    """
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(
            rate_schedule(config, total_steps),
            weight_decay=config.weight_decay,
            mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params),
        ),
    )
