"""The icons of the page: those of the manifest, as the script draws them."""

import io
import json

import numpy as np
from PIL import Image

from demo.draw_icons import draw_icons
from demo.folder import PAGE


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"), float)


def test_the_icons_are_those_that_the_script_draws(browser):
    for name, content in draw_icons(browser).items():
        stored = (PAGE / name).read_bytes()
        assert len(stored) < 10_000
        # Versions of Chromium blend edges differently.
        assert np.abs(pixels(stored) - pixels(content)).mean() < 1, name


def test_the_manifest_lists_the_icons_with_their_sizes():
    icons = json.loads((PAGE / "manifest.webmanifest").read_text())["icons"]
    png = {each["src"]: each for each in icons if each["type"] == "image/png"}
    assert set(png) == {path.name for path in PAGE.glob("*.png")}
    for name, each in png.items():
        image = pixels((PAGE / name).read_bytes())
        assert each["sizes"] == f"{image.shape[1]}x{image.shape[0]}"
        # Systems cut a maskable icon themselves; the others have transparent corners.
        assert image[0, 0, 3] == (255 if each.get("purpose") == "maskable" else 0)
    assert {each["sizes"] for each in png.values()} == {"192x192", "512x512"}
    assert any(each.get("purpose") == "maskable" for each in icons)
