"""The privacy guarantee: epsilon as in dp-accounting, and guarantees that are refused."""

import sys
from dataclasses import replace

import pytest

from jaxrec.errors import UserError
from jaxrec.federated import accounting
from jaxrec.federated.settings import FederatedConfig


def test_epsilon_matches_dp_accounting():
    dp_accounting = pytest.importorskip("dp_accounting", reason="needs the extra federated")
    event = dp_accounting.PoissonSampledDpEvent(0.05, dp_accounting.GaussianDpEvent(1.3))
    accountant = dp_accounting.rdp.RdpAccountant()
    accountant.compose(dp_accounting.SelfComposedDpEvent(event, 120))
    config = FederatedConfig(rounds=120, clients=100, noise_multiplier=1.3, delta=1e-5)
    found = accounting.guarantee(config, 2000)
    assert found is not None
    assert found.epsilon == pytest.approx(accountant.get_epsilon(1e-5), rel=1e-9)
    assert (found.participation, found.noise_multiplier, found.rounds) == (0.05, 1.3, 120)
    # Fewer rounds, smaller cohorts, more noise or a larger delta lower epsilon.
    for change in ({"rounds": 60}, {"clients": 50}, {"noise_multiplier": 2.0}, {"delta": 1e-4}):
        better = accounting.guarantee(replace(config, **change), 2000)
        assert better is not None and better.epsilon < found.epsilon
    by_default = accounting.guarantee(replace(config, delta=None), 2000)
    assert by_default is not None and by_default.delta == pytest.approx(2000**-1.1)

    with_epsilon = replace(config, noise_multiplier=0.0, epsilon=3.0)
    calibrated = accounting.guarantee(with_epsilon, 2000)
    assert calibrated is not None and 2.97 < calibrated.epsilon <= 3.0
    assert (
        "epsilon = " in calibrated.description[0] and "seed is secret" in calibrated.description[-1]
    )
    assert accounting.guarantee(replace(config, noise_multiplier=0.0, delta=None), 2000) is None


def test_a_meaningless_guarantee_is_refused():
    pytest.importorskip("dp_accounting", reason="needs the extra federated")
    with pytest.raises(UserError, match=r"--epsilon=0\.01 cannot be reached: .* 50 rounds still"):
        accounting.guarantee(FederatedConfig(rounds=50, clients=90, epsilon=0.01), 100)
    with pytest.raises(
        UserError, match=r"--delta=0\.01 would allow the release of all data of one of 100"
    ):
        accounting.guarantee(FederatedConfig(clients=9, epsilon=5.0, delta=0.01), 100)


def test_noise_without_dp_accounting_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    with pytest.raises(UserError, match=r"noise needs dp-accounting, .* '\.\[federated\]'"):
        accounting.guarantee(FederatedConfig(noise_multiplier=1.0), 1000)
