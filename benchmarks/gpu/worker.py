"""A process that holds one peer ready on the GPU: `python -m benchmarks.gpu.worker FOLDER PEER THREADS`.

It speaks as `benchmarks.peers.worker` does.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from benchmarks.peers import worker
from benchmarks.peers.job import Job
from benchmarks.peers.peer import MissingError, Peer

from .peer import ON_GPU

OWN, ORACLE = "nnc-cuda", "nnc-reference"
# peer -> module, and whether it is the variant that compiles (PyTorch) or scans (JAX)
PEERS: dict[str, tuple[str, bool]] = {
    "torch": ("torch_peer", False),
    "torch-compile": ("torch_peer", True),
    "jax": ("jax_peer", False),
    "jax-scan": ("jax_peer", True),
}
TRAINING = (OWN, *PEERS)
PREDICTION = tuple(peer for peer in TRAINING if peer != "jax-scan")  # predictions do not follow from one another


def library(peer: str) -> str:
    """The library of a peer of PEERS: "torch" or "jax"."""
    return PEERS[peer][0].removesuffix("_peer")


def environment(peer: str, threads: int) -> dict[str, str]:
    """The variables for a peer that may use the GPU, and so many threads of the processor beside it."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS_")}
    counts = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    kept |= dict.fromkeys(counts, str(threads))
    # JAX fails without a GPU instead of computing elsewhere, and leaves memory to those that take turns with it
    return kept | {"JAX_PLATFORMS": "cuda", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def prepare(peer: str, job: Job, threads: int, device: str = ON_GPU) -> Peer:
    """The peer with the job prepared. Raises: MissingError where it cannot do it."""
    kind = "Training" if job.mode == "train" else "Prediction"
    try:
        if peer in (OWN, ORACLE):
            return _nnc(peer, kind, job, threads)
        module, variant = PEERS[peer]
        found = import_module(f"benchmarks.gpu.{module}")
    except ImportError as error:
        raise MissingError(str(error)) from error
    made: Peer = getattr(found, kind)(job, threads, variant, device)
    return made


def _nnc(peer: str, kind: str, job: Job, threads: int) -> Peer:
    from nnc.grammar.diagnostics import NncError
    from nnc.runtime.cuda.session import CudaRuntime
    from nnc.runtime.reference import ReferenceRuntime

    from . import nnc_peer

    runtime: Any = CudaRuntime() if peer == OWN else ReferenceRuntime()
    try:
        made: Peer = getattr(nnc_peer, kind)(job, threads, runtime)
    except NncError as error:
        raise MissingError("; ".join(diagnostic.message for diagnostic in error.diagnostics)) from error
    return made


if __name__ == "__main__":
    worker.main(prepare)
