"""Explanations of E094: the GPU, what it needs before it runs a plan, and runtimes that disagree."""

from __future__ import annotations

from typing import Final

from .explanation import Explanation

GPU: Final[dict[str, Explanation]] = {
    "E0940": Explanation(
        "there is no NVIDIA driver",
        """
`--device gpu` runs a plan on an NVIDIA GPU, and programs reach that through the driver's library, libcuda.so.1, which
is not found. It comes with the driver, not with a Python package. In a container the driver is that of the machine
around it, which passes it in if it is told to.

    sudo ubuntu-drivers install            # Ubuntu; restart afterwards
    sudo apt install nvidia-driver         # Debian; restart afterwards
    docker run --gpus all ...              # a container: pass the GPUs in

nnc never computes on the processor instead without saying so: `--device auto` takes a GPU if one works, and tells.
""",
    ),
    "E0941": Explanation(
        "the NVIDIA driver finds no GPU",
        """
The driver is installed, but gives programs no GPU: CUDA_VISIBLE_DEVICES hides them all, the driver was updated and
the machine not restarted since, the GPU is passed through to another machine, or it has failed. The error has the
driver's own words.

    CUDA_VISIBLE_DEVICES= nnc run digits --device gpu     wrong: no GPU is left to see
    CUDA_VISIBLE_DEVICES=1 nnc run digits --device gpu    right: the second one

`nvidia-smi` shows which GPUs the driver sees.
""",
    ),
    "E0942": Explanation(
        "CuPy is missing or does not load",
        """
The GPU runtime reaches the GPU through CuPy, an optional package. Take the extra for the CUDA of your driver, which
`nvidia-smi` prints in its first line and `nnc doctor` too; it brings the CUDA libraries along:

    pip install 'nnc[cuda13]'     # drivers from 580 on
    pip install 'nnc[cuda12]'     # drivers from 525 on
""",
    ),
    "E0943": Explanation(
        "CuPy, the CUDA libraries and the driver do not fit together",
        """
A driver runs programs for its own version of CUDA and for older ones, not for a newer one: CuPy built for CUDA 13
needs driver 580 or newer. Two packages of CuPy overwrite each other's files, so there may be but one. And nnc needs
CuPy 14 or newer.

    pip uninstall -y cupy-cuda13x && pip install 'nnc[cuda12]'     # the CUDA that an older driver runs
    sudo ubuntu-drivers install                                    # or a newer driver (Ubuntu)
""",
    ),
    "E0944": Explanation(
        "a CUDA library is missing",
        """
Kernels are compiled by NVRTC, and large matrix products done by cuBLASLt. Both are libraries of CUDA that come as
Python packages, or with NVIDIA's CUDA toolkit. One of them is not found, or does not load. The error says which, and
the package that has it. The extras have all that is needed:

    pip install 'nnc[cuda13]'
""",
    ),
    "E0945": Explanation(
        "the GPU is too old",
        """
The kernels are written and compiled for GPUs of compute capability 8.0 and newer: A100, RTX 30 and all that
came after them. If there is a newer GPU in the machine, choose it; else compute on the processor.

    CUDA_VISIBLE_DEVICES=1 nnc run digits --device gpu
    nnc run digits --device cpu
""",
    ),
    "E0946": Explanation(
        "the GPU has too little memory",
        """
All the memory that a plan needs is known before it runs, and is taken at once: either it is there or nothing is
started. Other programs may be using the rest of the GPU, `nvidia-smi` shows them. Smaller batches need less; `auto`
takes the largest that fits into the memory you name.

    nnc run large.nn --device gpu --batch-size auto --max-memory 20GiB
    nnc compile large.nn                    # says what each part needs
""",
    ),
    "E0947": Explanation(
        "the GPU fails",
        """
The driver ended a kernel or a copy with an error, or the GPU computed something else than it was told to. Its memory
or its power may be failing, another program may have stopped it, or nnc has a bug. Try it again, alone:

    nnc doctor              # the smallest kernel: does it run, and is it right?
    nnc verify digits       # whole steps beside the other runtimes

If both are fine and the error comes again, please report it with the spec.
""",
    ),
    "E0948": Explanation(
        "NVRTC makes no kernels",
        """
Kernels are compiled for one kind of GPU, named by its compute capability without the dot: sm_90 is 9.0, an H100. A
version of NVRTC knows some of them, and the error lists which. If it knows the GPU and refuses the program, that is a
bug of nnc: please report it with the spec and what NVRTC says.

    nnc compile digits --device gpu --arch h100      wrong: a product's name
    nnc compile digits --device gpu --arch sm_90     right
""",
    ),
    "E0949": Explanation(
        "a runtime does not agree with the reference",
        """
`nnc verify` runs the same steps on every runtime and compares each tensor with the reference's, which NumPy computes.
Runtimes sum in different orders, so that last bits differ. How far rounding alone drives this network apart is measured
with the reference itself, run with the last bit of every stored number left to chance. A difference many times larger
is a fault: of nnc, of the C compiler, of the driver, or of the machine.

    nnc verify digits --runtimes native      # which one is it?
    CC=clang nnc verify digits               # another compiler
    nnc doctor                               # does each part work alone?

Please report it, with the spec and the table.
""",
    ),
}
