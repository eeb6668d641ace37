"""Recipes: the ways to store the weights of a file."""

from typing import Literal, get_args

Recipe = Literal["float32", "float16", "int8"]
RECIPES: tuple[Recipe, ...] = get_args(Recipe)
