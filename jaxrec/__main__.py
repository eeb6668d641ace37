"""Entry point of `python -m jaxrec`: the command `jaxrec`, run by this interpreter."""

import sys

from jaxrec.cli import main

if __name__ == "__main__":
    sys.exit(main())
