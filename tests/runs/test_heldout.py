"""Held-out histories: saving, loading and subsampling, also of runs without users."""

from dataclasses import replace

import numpy as np
import pytest

from jaxrec.errors import UserError
from jaxrec.files import read_arrays, write_arrays
from jaxrec.runs.heldout import draw_heldout, load_heldout, save_heldout
from jaxrec.schema import ITEM
from tests.small_data import dataset_of


@pytest.fixture
def heldout():
    return draw_heldout(dataset_of([[1, 2, 3, 4, user] for user in range(5, 9)]), 3, seed=0)


def test_histories_survive_a_round_trip(heldout, tmp_path):
    path = tmp_path / "heldout.npz"
    for each in (heldout, replace(heldout, users=None)):
        save_heldout(each, path)
        back = load_heldout(path)
        np.testing.assert_array_equal(back.history[ITEM], heldout.history[ITEM])
        np.testing.assert_array_equal(back.target, heldout.target)
        np.testing.assert_array_equal(back.seen.ids, heldout.seen.ids)
        assert (back.users is None) == (each.users is None)
    assert heldout.users.tolist() == [0, 1, 2, 3]


def test_a_subsample_keeps_users_beside_their_histories(heldout):
    assert heldout.subsample(2).users.tolist() == [0, 3]
    assert replace(heldout, users=None).subsample(2).users is None


def test_users_of_another_number_are_refused(heldout, tmp_path):
    path = tmp_path / "heldout.npz"
    save_heldout(heldout, path)
    arrays = read_arrays(path)
    write_arrays(path, {**arrays, "users": arrays["users"][1:]})
    with pytest.raises(UserError, match="differ in length"):
        load_heldout(path)
