"""Moved: `from jaxrec.runtime import Recommender`."""

from jaxrec.runtime import Recommendation, Recommender

__all__ = ["Recommendation", "Recommender"]
