"""A model that is replaced by newer files while threads call it."""

from pathlib import Path
from typing import Any, TypeVar

from jaxrec.errors import UserError
from jaxrec.files import replacing
from jaxrec.runtime.bundle import parse_bundle
from jaxrec.runtime.catalogue import Catalogue, Entry
from jaxrec.runtime.features import InputFeature
from jaxrec.runtime.fork_lock import ForkLock
from jaxrec.runtime.interpreter import ItemEmbeddings
from jaxrec.runtime.item_index import NO_ITEM, RawItem
from jaxrec.runtime.loaded_model import LoadedModel
from jaxrec.runtime.update import load_proven, require_not_older

Model = TypeVar("Model", bound="UpdatableModel")

_CLOSED = "the model is closed; load its file again"


class UpdatableModel:
    """A model file in memory that `update` replaces, as a context manager that frees it.

    Threads may share it, and a process may fork at any time. Pickling it copies the content of the
    file, so that it can be passed to processes that do not fork.

    A call reads `_loaded` once: it sees one file, whatever replaces that file meanwhile.
    """

    def __init__(
        self, loaded: LoadedModel, path: Path | None = None, public_key: str | None = None
    ):
        self._loaded = loaded
        self._path = path
        self._public_key = public_key
        self._lock = ForkLock()  # of those who replace or close the model

    @classmethod
    def load(cls: type[Model], source: str | Path | bytes, public_key: str | None = None) -> Model:
        """Load a recommender from one file, after verifying its integrity.

        Args:
            source: the path of the file, or its content.
            public_key: the text of the PEM file of the publisher's key, which must have signed this
                file and those of `update`; None: any file is accepted.

        Raises:
            UserError: if the file is not a bundle, has another version, is damaged, or is not
                signed with the key.
            OSError: if the file cannot be read.
        """
        if isinstance(source, bytes):
            bundle = parse_bundle(source, "the model", public_key)
            return cls(LoadedModel(source, bundle), None, public_key)
        content = Path(source).read_bytes()
        bundle = parse_bundle(content, source, public_key)
        return cls(LoadedModel(content, bundle), Path(source).absolute(), public_key)

    def update(
        self,
        source: str | Path | bytes,
        *,
        public_key: str | None = None,
        rollback: bool = False,
    ) -> bool:
        """Replace the model by that of another file, while calls run.

        The new file must be complete, signed if there is a key, not older, and answer. It then
        replaces the file that this model was loaded from, if any. Running calls finish with the old
        model, which is freed after them. If the file is refused, nothing changes.

        Args:
            source: the path of the new file, or its content.
            public_key: the text of a PEM file; None: that of `load`.
            rollback: whether to accept an older file.

        Returns:
            True if the model was replaced, false if the file is the one in use.

        Raises:
            UserError: if the file is refused, or cannot be read or written, or the model is closed.
        """
        key = self._public_key if public_key is None else public_key
        with self._lock:
            current = self._loaded
            if current.content is None:
                raise UserError(_CLOSED)
            try:
                name, content = _read(source)
                bundle = parse_bundle(content, name, key)
                if content == current.content:
                    return False
                if not rollback:
                    require_not_older(bundle.model, current.model, name)
                loaded = load_proven(content, bundle, name)
                self._write(content, source)
            except OSError as error:
                where = error.filename or self._path
                raise UserError(f"{where}: {error.strerror}; the model stays as it was") from None
            self._loaded = loaded
        return True

    def snapshot(self: Model) -> Model:
        """Return a recommender of the present model, which later updates do not replace.

        It shares the interpreter, so closing one of both closes the other too. With it, several
        calls see one model, such as `items` and `vectors`.
        """
        return type(self)(self._loaded, None, self._public_key)

    def close(self) -> None:
        """Free the memory of the model, after running calls. Later calls raise a UserError."""
        with self._lock:
            self._loaded.close()

    def __enter__(self: Model) -> Model:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, tuple[bytes, str | None]]:
        """Pickle the content of the file, so that other processes verify it and load their own.

        Their updates replace no file.

        Raises:
            UserError: if the recommender is closed.
        """
        content = self._loaded.content
        if content is None:
            raise UserError(_CLOSED)
        return type(self).load, (content, self._public_key)

    @property
    def model(self) -> dict[str, Any]:
        """The content of model.json: shapes, rules, figures."""
        return self._loaded.model

    @property
    def items(self) -> tuple[RawItem, ...]:
        """The raw items of the model, the most popular of its first training first, [V]."""
        return self._loaded.items

    @property
    def catalogue(self) -> Catalogue:
        """The `item`, `title`, `genres` and `year` of each item, in the order of `items`, [V]."""
        return self._loaded.catalogue

    @property
    def features(self) -> tuple[InputFeature, ...]:
        """The features that the model takes beside items."""
        return self._loaded.features

    @property
    def top_k(self) -> int:
        """The number of items in the file's own list."""
        return self._loaded.device.top_k

    @property
    def history_length(self) -> int:
        """The number of items of a history that the model reads, N."""
        return self._loaded.device.history_length

    def knows(self, item: RawItem) -> bool:
        """Return whether the model knows an item."""
        return self._loaded.item_index.id_of(item) != NO_ITEM

    def describe(self, item: RawItem) -> Entry | None:
        """Return the catalogue entry of an item, None if the model does not know it."""
        loaded = self._loaded
        number = loaded.item_index.id_of(item)
        return None if number == NO_ITEM else loaded.catalogue[number - 1]

    def vectors(self) -> ItemEmbeddings:
        """Return the embeddings [V, D] and the biases [V] of all items, in the order of `items`.

        A score is the product of a query, from `encode`, and an item embedding, plus the bias. The
        arrays are read-only, and kept until `close` or an update: V x D x 4 bytes.

        Raises:
            UserError: if the file is older than the signature `vectors`.
        """
        return self._loaded.scorer.embeddings()

    def _write(self, content: bytes, source: str | Path | bytes) -> None:
        """Replace the file that the model was loaded from, unless the source is that file.

        Raises:
            OSError: if it cannot be written; it stays as it was.
        """
        path = self._path
        if path is None:
            return
        if not isinstance(source, bytes) and path.exists() and path.samefile(source):
            return
        with replacing(path) as file:
            file.write(content)


def _read(source: str | Path | bytes) -> tuple[str, bytes]:
    """Return the name and the content of a file.

    Raises:
        OSError: if it cannot be read.
    """
    if isinstance(source, bytes):
        return "the new model", source
    return str(source), Path(source).read_bytes()
