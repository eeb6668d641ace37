"""Draw the PNG icons of the page from icon.svg, in Chromium.

    python demo/draw_icons.py

It needs the extra test and Chromium (apt-get install chromium). The icons are in the repository:
run it only after a change of icon.svg.
"""

import shutil
import sys
from collections.abc import Callable

from playwright.sync_api import sync_playwright

from demo.folder import PAGE
from jaxrec.errors import UserError

_ROUNDED = 'rx="112"'
# Systems cut a maskable icon to their own shape, so its background fills the square.
_SQUARE = 'rx="0"'


def draw_icons(svg: str, draw: Callable[[str, int], bytes]) -> dict[str, bytes]:
    """Return the PNG icons by file name.

    Args:
        svg: the icon, with rounded corners.
        draw: draws an SVG as a PNG of a width and height in pixels.
    """
    if _ROUNDED not in svg:
        raise UserError(f"icon.svg has no background with {_ROUNDED}; restore it")
    return {
        "icon-192.png": draw(svg, 192),
        "icon-512.png": draw(svg, 512),
        "icon-maskable-512.png": draw(svg.replace(_ROUNDED, _SQUARE), 512),
    }


def run() -> None:
    """Write the icons beside icon.svg."""
    path = shutil.which("chromium")
    if path is None:
        raise UserError("chromium is missing; install it with `apt-get install chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])

        def draw(svg: str, size: int) -> bytes:
            page = browser.new_page(viewport={"width": size, "height": size})
            page.set_content(f"<style>body {{ margin: 0 }} svg {{ display: block }}</style>{svg}")
            image = page.screenshot(omit_background=True)
            page.close()
            return image

        icons = draw_icons((PAGE / "icon.svg").read_text(), draw)
        browser.close()
    for name, content in icons.items():
        (PAGE / name).write_bytes(content)
        print(f"{PAGE / name}: {len(content):,} bytes")


def main() -> int:
    """Write the icons, and return the exit code."""
    try:
        run()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
