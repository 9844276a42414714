"""Data: readers of files, the binding of names to a plan's feeds, the audit, splits and orders.

`load(network.data, plan, base_dir, network.outputs)` gives a `Dataset` with `.train`, `.validation` and `.test`, each
`Samples` (`.feeds`, `.index`, `.rows`) or None. `from_arrays(plan, outputs, x, y)` gives `Samples` of arrays.
"""

from .arrays import from_arrays
from .dataset import Dataset, Samples, load

__all__ = ["Dataset", "Samples", "from_arrays", "load"]
