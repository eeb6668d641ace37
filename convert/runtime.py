"""Moved: `from jaxrec.runtime import Recommender`."""

from jaxrec.runtime import Recommender as Recommender
