"""Settings of federated rounds: sampling of clients, local SGD, the server's optimizer, privacy."""

from dataclasses import dataclass
from typing import Literal

from jaxrec.config.fields import check, setting
from jaxrec.errors import UserError


@dataclass(frozen=True)
class FederatedConfig:
    """Federated rounds: who takes part, what leaves a device, what the server makes of it."""

    rounds: int = setting(200, 1, 1_000_000)
    """rounds: in each the server asks some clients, and changes the model once"""
    clients: int = setting(100, 1, 10_000_000)
    """clients of a round, on average: each user takes part with the same probability, whoever else
    does"""
    local_steps: int = setting(4, 1, 10_000)
    """steps of SGD that a client takes, each on one window of its own timeline"""
    local_learning_rate: float = setting(0.1, 0.0, 1000.0)
    """learning rate of these steps"""
    share: Literal["encoder", "all"] = "encoder"
    """what clients send: the encoder and the layers behind it; or the table of items and its biases
    too, whose rows tell what a user touched: that needs noise. What is not sent does not change"""
    clip_norm: float = setting(1.0, 1e-6, 1e6)
    """largest norm of what one client sends, of all its numbers together; a larger one is scaled
    down to it"""
    server_optimizer: Literal["fedavg", "fedadam"] = "fedavg"
    """what the server does with the mean of what came: it adds it, or takes a step of Adam's"""
    server_learning_rate: float | None = setting(None, 0.0, 1000.0)
    """learning rate of the server; by default 1 for fedavg, 0.003 for fedadam"""
    noise_multiplier: float = setting(0.0, 0.0, 1000.0)
    """standard deviation of the noise on the sum of what came in, as a multiple of --clip-norm; 0
    guarantees nothing"""
    epsilon: float | None = setting(None, 1e-6, 1e6)
    """instead of --noise-multiplier: as much noise as this epsilon takes over all rounds"""
    delta: float | None = setting(None, 1e-15, 0.5)
    """how likely the guarantee may fail; by default 1 / users^1.1"""
    seed: int = setting(0, 0, 2**31 - 1)
    """seed of who takes part, of the windows and of the noise; who knows it can take the noise
    away"""

    @property
    def is_noisy(self) -> bool:
        """Return whether the settings add noise."""
        return self.noise_multiplier > 0 or self.epsilon is not None

    def __post_init__(self) -> None:
        check(self)
        if self.epsilon is not None and self.noise_multiplier > 0:
            raise UserError(
                f"--epsilon={self.epsilon:g} finds the noise, and "
                f"--noise-multiplier={self.noise_multiplier:g} gives it; leave one of them out"
            )
        if self.delta is not None and not self.is_noisy:
            raise UserError(
                f"--delta={self.delta:g} says nothing without noise; give --noise-multiplier or "
                "--epsilon too"
            )
        if self.share == "all" and not self.is_noisy:
            raise UserError(
                "--share=all sends the table of items, whose rows tell what a user touched; give "
                "--noise-multiplier or --epsilon too, or --share=encoder"
            )
