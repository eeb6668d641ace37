"""Plots: their files."""

from jaxrec.runs.plots import save_plot, two_panels


def test_a_title_in_letters_that_the_font_lacks_is_no_warning(tmp_path):
    figure, _ = two_panels("模型")  # warnings are errors in tests
    save_plot(figure, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
