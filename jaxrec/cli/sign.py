"""Sign model files, so that apps accept the updates of their publisher alone.

    jaxrec sign --new-key=release.pem

writes a new private key to release.pem, for its owner alone, and the public key to
release.public.pem. Keep the first where nobody else reads it, and ship the second with the app. A
file is never overwritten. `openssl genpkey -algorithm ed25519` makes such keys too.

    jaxrec sign --key=release.pem runs/ml-1m-rnn-n10/export
    jaxrec sign --key=release.pem model.tflite

adds a signature to each .tflite file, in place of the one that it may have. In the folder of an
export, the hashes in model.json are updated, and model.json.sig is its signature.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from jaxrec.cli.command_line import command
from jaxrec.conversion.sign import create_key_pair, read_private_key, sign_export, sign_file
from jaxrec.errors import UserError
from jaxrec.runtime.bundle import MODEL


@dataclass(frozen=True)
class SignFlags:
    """Key, and what it signs."""

    paths: tyro.conf.Positional[tuple[Path, ...]] = ()
    """.tflite files, or folders that `jaxrec export` wrote"""
    key: Path | None = None
    """PEM file of the private key, of Ed25519 and without a password"""
    new_key: Path | None = None
    """file to write a new private key to; its public key is written beside it"""


def run(flags: SignFlags) -> None:
    """Sign files, or write a new key pair.

    Raises:
        UserError: a flag, a key or a file is invalid; the files before it are signed.
    """
    if flags.new_key is not None:
        if flags.key is not None or flags.paths:
            raise UserError("--new-key signs nothing; give it alone, then --key and the files")
        public = create_key_pair(flags.new_key)
        print(f"{flags.new_key}: the private key; keep it secret\n{public}: the public key")
        return
    if flags.key is None:
        raise UserError("missing --key, the private key; --new-key=release.pem makes one")
    if not flags.paths:
        raise UserError("no file to sign; give .tflite files, or folders of `jaxrec export`")
    key = read_private_key(flags.key)
    for path in flags.paths:
        written = sign_export(path, key) if path.is_dir() else [sign_file(path, key)]
        for each in written:
            print(f"{each}: signed")
        beside = path.with_name(MODEL)
        if path.is_file() and beside.exists():
            print(f"note: {beside} has the hash of the unsigned file; sign the folder to update it")


main = command(
    run,
    remedy="give files that can be read and written",
    interrupted="each file is either signed or as it was",
)
