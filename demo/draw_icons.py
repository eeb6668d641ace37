"""Draw the PNG icons of the page from icon.svg, in Chromium.

    python demo/draw_icons.py

It needs the extra test and Chromium (apt-get install chromium). The icons are in the repository:
run it only after a change of icon.svg.
"""

import shutil
import sys

from playwright.sync_api import Browser, sync_playwright

from demo.folder import PAGE
from jaxrec.errors import UserError

_ROUNDED = 'rx="112"'
# Systems cut a maskable icon to their own shape, so its background fills the square.
_SQUARE = 'rx="0"'


def draw_icons(browser: Browser) -> dict[str, bytes]:
    """Return the PNG icons by file name.

    Raises:
        UserError: icon.svg has no rounded background.
    """
    svg = (PAGE / "icon.svg").read_text()
    if _ROUNDED not in svg:
        raise UserError(f"{PAGE / 'icon.svg'} has no background with {_ROUNDED}; restore it")
    return {
        "icon-192.png": _draw(browser, svg, 192),
        "icon-512.png": _draw(browser, svg, 512),
        "icon-maskable-512.png": _draw(browser, svg.replace(_ROUNDED, _SQUARE), 512),
    }


def _draw(browser: Browser, svg: str, size: int) -> bytes:
    page = browser.new_page(viewport={"width": size, "height": size})
    page.set_content(f"<style>body {{ margin: 0 }} svg {{ display: block }}</style>{svg}")
    image = page.screenshot(omit_background=True)
    page.close()
    return image


def main() -> int:
    """Write the icons beside icon.svg, and return the exit code."""
    path = shutil.which("chromium")
    if path is None:
        print("error: chromium is missing; apt-get install chromium", file=sys.stderr)
        return 2
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            icons = draw_icons(browser)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    for name, content in icons.items():
        (PAGE / name).write_bytes(content)
        print(f"{PAGE / name}: {len(content):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
