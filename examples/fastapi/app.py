"""A FastAPI service that recommends with one model file, and loads it anew when it is replaced.

    export JAXREC_MODEL=model.tflite
    export JAXREC_PUBLIC_KEY=release.public.pem
    uvicorn --app-dir=examples/fastapi --factory app:create_app --workers=2

Each worker checks every second whether another file was renamed over the model, and updates its
recommender. Running requests end with the model they began with. A file that is damaged, older or
not signed with the key, if there is one, is logged, and the old model stays. The application
survives a fork, so gunicorn may preload it.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from jaxrec import Recommender, UserError

log = logging.getLogger("uvicorn.error")

# Strict, so that "7" stays a string: a model knows the items of its log, of their type.
Item = StrictInt | StrictStr
Items = Annotated[list[Item], Field(max_length=10_000)]


class Query(BaseModel):
    """A request for recommendations, with the arguments of `Recommender.recommend`."""

    model_config = ConfigDict(extra="forbid")
    history: Items = []
    k: Annotated[int, Field(ge=1, le=1000)] = 10
    exclude: Items = []
    candidates: Items | None = None
    features: dict[str, Any] = {}


class WatchedModel:
    """The recommender of a file that other processes replace.

    Attributes:
        recommender: the recommender; `refresh` updates it.
    """

    def __init__(self, path: Path, public_key: str | None = None):
        self._path = path
        self._version = self._read_version()
        self.recommender = Recommender.load(path, public_key)

    def refresh(self) -> None:
        """Load the file if it was replaced since the last call; if it is refused, log it."""
        try:
            version = self._read_version()
            if version == self._version:
                return
            self._version = version
            if self.recommender.update(self._path):
                log.info("loaded %s", self._path)
        except (UserError, OSError) as error:
            log.error("the model stays as it is: %s", error)

    async def watch(self, seconds: float) -> None:
        """Refresh the model forever, after each pause of some seconds."""
        while True:
            await asyncio.sleep(seconds)
            await asyncio.to_thread(self.refresh)

    def _read_version(self) -> tuple[int, int]:
        status = self._path.stat()
        return status.st_ino, status.st_mtime_ns


def create_app(path: str | None = None, seconds: float = 1.0) -> FastAPI:
    """Build the service.

    The environment variable JAXREC_PUBLIC_KEY, if it is set, names the PEM file of the key that
    must have signed the model.

    Args:
        path: the model file; None: the environment variable JAXREC_MODEL names it.
        seconds: the pause between two checks of the file.

    Raises:
        UserError: if the file is damaged, or not signed with the key.
        OSError: if a file cannot be read.
    """
    key = os.environ.get("JAXREC_PUBLIC_KEY")
    watched = WatchedModel(
        Path(path or os.environ.get("JAXREC_MODEL", "model.tflite")),
        None if key is None else Path(key).read_text(),
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # In each worker, after the fork: a task does not survive it.
        task = asyncio.create_task(watched.watch(seconds))
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    app = FastAPI(title="jaxrec", lifespan=lifespan)
    app.add_exception_handler(UserError, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_body)

    # Without `async`: FastAPI runs these functions in threads, which may share a recommender.
    @app.post("/recommend")
    def recommend(query: Query) -> dict[str, Any]:
        """Return the best items after a history; of new users, the popular ones."""
        recommender = watched.recommender.snapshot()  # the list and the version of one model
        found = recommender.recommend(
            query.history,
            min(query.k, len(recommender.items)),
            exclude=query.exclude,
            candidates=query.candidates,
            features=query.features,
            unknown="popular",
        )
        return {"model": _version_of(recommender), "items": [each.to_dict() for each in found]}

    @app.get("/model")
    def model() -> dict[str, Any]:
        """Return the version and the size of the model, as a check that the service is ready."""
        recommender = watched.recommender.snapshot()
        return {"model": _version_of(recommender), "items": len(recommender.items)}

    return app


def _version_of(recommender: Recommender) -> str:
    return recommender.model["graph"]["sha256"][:12]


def _refuse(request: Request, error: Exception) -> JSONResponse:
    """Answer a request that the model refuses."""
    return JSONResponse({"error": str(error)}, 400)


def _refuse_body(request: Request, error: Exception) -> JSONResponse:
    """Answer a request of the wrong form with the first mistake, in one line."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return JSONResponse({"error": f"{place}: {first['msg']}"}, 422)
