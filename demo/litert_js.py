"""LiteRT.js: installed once by npm from the lock file."""

import json
import re
import sys

from demo import npm
from demo.npm import HOME
from jaxrec.errors import UserError

_LOCK = HOME / "package-lock.json"
_MODULES = HOME / "node_modules"

# LiteRT.js selects one of the two by the features of the browser. Its threaded builds need special
# headers and are no faster for models of this size.
BUILDS = ("litert_wasm_internal", "litert_wasm_compat_internal")

_NOTICE = """Builds of LiteRT.js {version}, unchanged.
Copyright Google LLC, licensed under the Apache License, Version 2.0.
Source: github.com/google-ai-edge/LiteRT, litert/js
"""


def runtime_files() -> dict[str, bytes]:
    """Return the content of each file that a page needs to run a model, by name.

    Raises:
        UserError: the packages cannot be fetched, or are not those of the lock file.
    """
    install_packages()
    core = _MODULES / "@litertjs" / "core"
    files = {
        f"{build}.{ending}": (core / "wasm" / f"{build}.{ending}").read_bytes()
        for build in BUILDS
        for ending in ("js", "wasm")
    }
    notice = _NOTICE.format(version=json.loads((core / "package.json").read_bytes())["version"])
    return {**files, "NOTICE.txt": notice.encode()}


def install_packages(*, tools: bool = False) -> None:
    """Install the locked packages by npm, which verifies their hashes, unless they are present.

    Args:
        tools: whether to install the page's linter, type checker and accessibility checker too.

    Raises:
        UserError: npm is not installed, or failed.
    """
    if _is_installed(tools):
        return
    words, what = ["ci", "--omit=dev"], "LiteRT.js"
    if tools:
        words, what = ["ci"], "LiteRT.js and the checkers of the page"
    print(f"downloading {what}, once ...", file=sys.stderr)
    done = npm.run(*words, folder=HOME, capture_output=True, check=False)
    if done.returncode:
        reason = " ".join(re.findall(r"^npm (?:error|ERR!) (.*)$", done.stderr, re.MULTILINE)[:3])
        raise UserError(
            f"npm cannot install the packages of {HOME / 'package.json'}: {reason}; the first run "
            "needs a network"
        )


def _is_installed(tools: bool) -> bool:
    """Return whether node_modules matches the lock file; npm writes its record last."""
    try:
        record = json.loads((_MODULES / ".package-lock.json").read_bytes())
    except (OSError, ValueError):
        return False
    return all(
        record["packages"].get(name, {}).get("integrity") == package["integrity"]
        for name, package in json.loads(_LOCK.read_bytes())["packages"].items()
        # The nameless package is this folder itself; optional ones may be for other systems.
        if name and not package.get("optional") and (tools or not package.get("dev"))
    )
