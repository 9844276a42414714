"""A forked child has no threads of its parent's: it runs a program with new ones."""

from __future__ import annotations

import os

import numpy as np
import pytest

import nnc
from nnc.runtime.native.toolchain import find_toolchain

SPEC = """
input x: float32[256]
output y = x -> Dense(512, relu) -> Dense(1) { loss = mse }
train { batch_size = 64 }
"""
pytestmark = pytest.mark.skipif(find_toolchain().toolchain is None, reason=find_toolchain().reason)


def test_a_forked_child_trains_every_step() -> None:
    session = nnc.compile(text=SPEC, runtime="native", threads=2).session
    feeds = {"x": np.ones((128, 256), np.float32), "target.y": np.ones((128, 1), np.float32)}
    session.bind("train_step", feeds)
    session.run("train_step", np.arange(128))
    child = os.fork()
    if child == 0:
        session.run("train_step", np.arange(128))
        os._exit(int(session.read("step")))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 4, "two steps before the fork, two after"
