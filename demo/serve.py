"""Serve the page that recommends inside the browser, with the newest export.

    python demo/serve.py
    python demo/serve.py --export=runs/ml-1m-rnn-n10/export --export=runs/ml-1m-cnn-n10/export
    python demo/serve.py --items=movies.csv

By default, shows the newest export under runs/ and, to compare, the newest export of each other
encoder with the same items. --items replaces their titles, genres and years by those of a table.
Page, runtime and models are written to one folder, which can be copied to any static host. The page
sends no data, and works offline once it is loaded.
"""

import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from demo.describe import describe_exports
from demo.exports import choose_exports
from demo.folder import write_page
from demo.litert_js import runtime_files
from demo.server import HOST, make_server
from jaxrec.cli.command_line import command
from jaxrec.config.fields import refuse_unused
from jaxrec.data.sources.item_table import ItemTableConfig


@dataclass(frozen=True)
class ServeFlags:
    """Models of the page, and its server."""

    export: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """export folder or .tflite file; may be repeated, to compare; default: the newest under runs/,
    and the newest of each other encoder with the same items"""
    items: str | None = None
    """table of your items: an id, and any of title, genres and year"""
    item_table: ItemTableConfig = field(default_factory=ItemTableConfig)
    folder: Path = Path("build/demo")
    """folder of the page; an older page in it is replaced"""
    port: int = 8000
    """port of the server on this machine; the browser keeps a history for each port"""


def run(flags: ServeFlags) -> None:
    """Write the page, print its address and serve it until the user interrupts.

    Raises:
        UserError: an error that the user can fix.
    """
    if flags.items is None:
        refuse_unused(flags.item_table, "--items=FILE")
    exports = choose_exports(flags.export)
    if flags.items is not None:
        exports, summary = describe_exports(exports, flags.items, flags.item_table)
        print(summary)
    with make_server(flags.folder, flags.port) as server:
        write_page(flags.folder, exports, runtime_files())
        size = sum(path.stat().st_size for path in flags.folder.rglob("*") if path.is_file())
        for each in exports:
            print(
                f"{each.model['run']}: {each.model['encoder']}, {len(each.data):,} bytes, "
                f"written {each.written:%Y-%m-%d %H:%M}, {each.path}"
            )
        print(f"{flags.folder}: {size / 1e6:.1f} MB, ready for any static host")
        print(f"http://{HOST}:{server.server_port}/ (Ctrl-C to stop)", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


main = command(
    run,
    remedy="give an export that can be read, or a --folder that can be written",
    interrupted="no page was replaced",
)

if __name__ == "__main__":
    sys.exit(main())
