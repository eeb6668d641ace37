"""Alias of `jaxrec backtest`: judge models of several dates on the periods that followed."""

import sys

from jaxrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["backtest", *sys.argv[1:]]))
