"""Recipes: the number formats in which a file stores its weights."""

from typing import Literal, get_args

Recipe = Literal["float32", "float16", "int8"]
RECIPES: tuple[Recipe, ...] = get_args(Recipe)
