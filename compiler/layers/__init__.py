"""The registry of layers: one `LayerDef` per layer, a family per file."""

from __future__ import annotations

from typing import Final

from ..formulas.activations import ALIASES as _ACTIVATIONS
from .activation import ACTIVATION_LAYERS
from .core import CORE
from .definition import LayerDef
from .embedding import EMBEDDING
from .merging import MERGING
from .normalization import NORMALIZATION
from .preprocessing import PREPROCESSING
from .regularization import REGULARIZATION
from .reshaping import RESHAPING

_FAMILIES = (CORE, RESHAPING, PREPROCESSING, EMBEDDING, MERGING, REGULARIZATION, NORMALIZATION, ACTIVATION_LAYERS)

LAYERS: Final[dict[str, LayerDef]] = {layer.name: layer for family in _FAMILIES for layer in family}
ALIASES: Final[dict[str, str]] = {layer.alias: layer.name for layer in LAYERS.values() if layer.alias} | _ACTIVATIONS
"""Second names of layers -> the name under which the registry has them."""
