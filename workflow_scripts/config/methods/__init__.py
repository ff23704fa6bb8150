"""Methods: what decides which weights or blocks of a model go.

A new one is a class, in the module here of what it takes out, with its line in the table below
them; and a module of `masking.methods` with its name.
"""

from typing import Literal

from workflow_scripts.config.methods.base import Method
from workflow_scripts.config.methods.depth import DEPTH
from workflow_scripts.config.methods.dynamic import DYNAMIC
from workflow_scripts.config.methods.slicing import SLICING
from workflow_scripts.config.methods.unstructured import UNSTRUCTURED
from workflow_scripts.config.methods.width import WIDTH
from workflow_scripts.config.types import one_of


class Dense(Method):
    """Nothing is removed."""

    title = "nothing"
    family = "none"

    method: Literal["dense"]


METHODS = {"dense": Dense, **UNSTRUCTURED, **DEPTH, **WIDTH, **SLICING, **DYNAMIC}

Variant = one_of(METHODS, "method")
