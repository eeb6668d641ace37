"""Windows of timelines: no gaps, no overlaps, and all phases equally likely."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.data.windowing import cut_windows


@given(
    lengths=st.lists(st.integers(0, 20), min_size=1, max_size=6),
    length=st.integers(1, 7),
    seed=st.integers(0, 1000),
)
def test_windows_cut_a_slice_without_gap_or_overlap_at_any_phase(lengths, length, seed):
    starts = np.arange(len(lengths)) * 100
    ends = starts + np.array(lengths)
    owners, firsts, window_ends = cut_windows(starts, ends, length, np.random.default_rng(seed))
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        of_timeline = owners == start
        # The number does not depend on the phase; the last window may be empty.
        assert of_timeline.sum() == ((end - start) // length + 1 if end > start else 0)
        cuts = [start, *window_ends[of_timeline].tolist()]
        assert firsts[of_timeline].tolist() == cuts[:-1]
        assert cuts[-1] == end
        assert (np.diff(cuts) <= length).all()
        assert (np.diff(cuts[:-1]) > 0).all()


def test_all_phases_are_equally_likely():
    # 12 activities in windows of 5: three windows with 3 positions to spare, so four phases.
    starts = np.zeros(4000, np.int64)
    windows = cut_windows(starts, starts + 12, 5, np.random.default_rng(0))
    first = Counter(windows.ends.reshape(4000, 3)[:, 0].tolist())
    assert first.keys() == {5, 4, 3, 2}
    assert all(900 < count < 1100 for count in first.values())
