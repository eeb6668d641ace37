"""Privacy accounting of federated rounds by Google's dp-accounting (extra `federated`).

The guarantee is user-level differential privacy: any resulting model is about as likely with all
data of one user as without it (Dwork et al., 2006; McMahan et al., 2018, for federated learning).
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jaxrec.errors import UserError
from jaxrec.federated.settings import FederatedConfig

# Absolute tolerance of a calibrated noise multiplier.
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Guarantee:
    """The privacy guarantee of a number of rounds to each user.

    Attributes:
        noise_multiplier: standard deviation of the noise on the sum, as a multiple of the largest
            norm of an update.
        participation: probability that a user takes part in a round.
    """

    epsilon: float
    delta: float
    noise_multiplier: float
    participation: float
    rounds: int

    @property
    def description(self) -> list[str]:
        """Return the guarantee and its assumptions in words, one per line."""
        return [
            f"epsilon = {self.epsilon:.4g} at delta = {self.delta:.3g}, for each user's whole "
            f"timeline, after {self.rounds:,} rounds: noise multiplier "
            f"{self.noise_multiplier:.4g}, each user in a round with probability "
            f"{self.participation:.4g}",
            *ASSUMPTIONS,
        ]


ASSUMPTIONS = (
    "neighbouring logs differ by one user; the number of users is public",
    "the guarantee covers the parameters only: not the figures, metrics and held-out histories of "
    "the run, nor what the initial model has learned",
    "the server adds the noise and is trusted with the sum, and the seed is secret",
)

NO_GUARANTEE = (
    "no noise, so no privacy guarantee: updates are clipped and averaged, and may still reveal "
    "users; --noise-multiplier or --epsilon adds noise"
)


def guarantee(config: FederatedConfig, population: int) -> Guarantee | None:
    """Return the guarantee to the users of a population; None without noise.

    Raises:
        UserError: the requested epsilon needs too much noise, delta is 1 / population or more, or
            the extra is not installed.
    """
    if not config.is_noisy:
        return None
    delta = population**-1.1 if config.delta is None else config.delta
    if delta >= 1 / population:
        raise UserError(
            f"--delta={delta:g} would allow the release of all data of one of {population:,} "
            f"users; give less than {1 / population:.2g}"
        )
    share, rounds = config.clients / population, config.rounds
    noise = config.noise_multiplier
    if config.epsilon is not None:
        noise = calibrate_noise(config.epsilon, share, rounds, delta, max_multiplier=config.clients)
    return Guarantee(epsilon_of(noise, share, rounds, delta), delta, noise, share, rounds)


def epsilon_of(noise_multiplier: float, participation: float, rounds: int, delta: float) -> float:
    """Bound epsilon by the Rényi accountant of Poisson-sampled Gaussians (Mironov et al., 2019)."""
    accountant = _import_accounting().rdp.RdpAccountant()
    with _without_warnings():
        accountant.compose(_event(noise_multiplier, participation), rounds)
        return float(accountant.get_epsilon(delta))


def calibrate_noise(
    epsilon: float, participation: float, rounds: int, delta: float, *, max_multiplier: float
) -> float:
    """Compute the least noise multiplier for an epsilon, to within 0.001 and on the safe side.

    Args:
        max_multiplier: upper end of the search. A multiplier equal to the number of clients in a
            round adds as much noise to each number as all clients together can contribute to it.

    Raises:
        UserError: the multiplier would be more than `max_multiplier`.
    """
    accounting = _import_accounting()
    min_epsilon = epsilon_of(max_multiplier, participation, rounds, delta)
    if min_epsilon > epsilon:
        raise UserError(
            f"--epsilon={epsilon:g} cannot be reached: with as much noise on each number as all "
            f"clients of a round can contribute to it, {rounds:,} rounds still give "
            f"{min_epsilon:.2g} at delta = {delta:.2g}; give a larger epsilon, fewer --rounds, or "
            "more users"
        )
    with _without_warnings():
        return float(
            accounting.calibrate_dp_mechanism(
                accounting.rdp.RdpAccountant,
                lambda noise: accounting.SelfComposedDpEvent(_event(noise, participation), rounds),
                epsilon,
                delta,
                accounting.ExplicitBracketInterval(_TOLERANCE, max_multiplier),
                tol=_TOLERANCE,
            )
        )


def _event(noise_multiplier: float, participation: float) -> Any:
    accounting = _import_accounting()
    event = accounting.GaussianDpEvent(noise_multiplier)
    return accounting.PoissonSampledDpEvent(participation, event)


def _import_accounting() -> Any:
    """Import dp-accounting, which only rounds with noise need.

    Raises:
        UserError: the package is not installed.
    """
    try:
        import dp_accounting
        import dp_accounting.rdp
    except ImportError as error:
        raise UserError(
            "noise needs dp-accounting, which computes its guarantee; pip install -c "
            "constraints.txt -e '.[federated]'"
        ) from error
    return dp_accounting


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Suppress warnings about Rényi orders that the accountant skips: any order gives a bound."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
