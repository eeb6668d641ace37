"""Settings of federated rounds: sampling of clients, local SGD, the server's optimizer, privacy."""

from dataclasses import dataclass
from typing import Literal

from jaxrec.config.fields import check, setting
from jaxrec.errors import UserError


@dataclass(frozen=True)
class FederatedConfig:
    """Federated rounds: sampling, local training, aggregation and privacy."""

    rounds: int = setting(200, 1, 1_000_000)
    """number of rounds, each of which updates the model once"""
    clients: int = setting(100, 1, 10_000_000)
    """average number of clients in a round; each user takes part independently, with the same
    probability"""
    local_steps: int = setting(4, 1, 10_000)
    """steps of SGD per client, each on one window of its own timeline"""
    local_learning_rate: float = setting(0.1, 0.0, 1000.0)
    """learning rate of the local steps"""
    shared_parameters: Literal["encoder", "all"] = setting("encoder", old_name="share")
    """parameters that clients train and send; encoder: the encoder and the layers after it; all:
    the item table and biases too, whose rows reveal the items of a user, so that noise is required.
    Other parameters do not change"""
    clip_norm: float = setting(1.0, 1e-6, 1e6)
    """maximum norm of the update of a client; a larger one is scaled down to it"""
    server_optimizer: Literal["fedavg", "fedadam"] = "fedavg"
    """how the server applies the mean update; fedavg: it adds it; fedadam: a step of Adam"""
    server_learning_rate: float | None = setting(None, 0.0, 1000.0)
    """learning rate of the server; default: 1 for fedavg, 0.003 for fedadam"""
    noise_multiplier: float = setting(0.0, 0.0, 1000.0)
    """standard deviation of the noise on the sum of the updates, as a multiple of --clip-norm; 0:
    no privacy guarantee"""
    epsilon: float | None = setting(None, 1e-6, 1e6)
    """instead of --noise-multiplier: the epsilon of all rounds, which determines the noise"""
    delta: float | None = setting(None, 1e-15, 0.5)
    """probability that the guarantee fails; default: 1 / users^1.1"""
    seed: int = setting(0, 0, 2**31 - 1)
    """seed of the sampling, the windows and the noise; keep it secret, because it allows the
    removal of the noise"""

    @property
    def is_noisy(self) -> bool:
        """Return whether the settings add noise."""
        return self.noise_multiplier > 0 or self.epsilon is not None

    def __post_init__(self) -> None:
        check(self)
        if self.epsilon is not None and self.noise_multiplier > 0:
            raise UserError(
                f"--epsilon={self.epsilon:g} and --noise-multiplier={self.noise_multiplier:g} "
                "exclude each other; omit one of them"
            )
        if self.delta is not None and not self.is_noisy:
            raise UserError(f"--delta={self.delta:g} needs --noise-multiplier or --epsilon")
        if self.shared_parameters == "all" and not self.is_noisy:
            raise UserError(
                "--shared-parameters=all sends the item table, whose rows reveal the items of a "
                "user; give --noise-multiplier or --epsilon too, or --shared-parameters=encoder"
            )
