"""onnxruntime: the network as an ONNX graph, from NumPy arrays to NumPy arrays."""

from __future__ import annotations

import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper

from .job import Job
from .peer import Peer

_OPSET = 17
_IR_VERSION = 8
_OPERATORS = {"relu": "Relu", "softmax": "Softmax"}


def graph(job: Job) -> bytes:
    """The network as a serialized ONNX model; the batch is a free dimension."""
    nodes, weights = [], []
    for layer in job.layers:
        if layer.kind == "Concatenate":
            nodes.append(helper.make_node("Concat", list(layer.inputs), [layer.name], axis=-1))
            continue
        names = [f"{layer.name}.kernel", f"{layer.name}.bias"]
        weights += [numpy_helper.from_array(job.arrays[f"weight.{name}"], name) for name in names]
        operator = _OPERATORS.get(layer.activation)
        product = f"{layer.name}.product" if operator else layer.name
        nodes.append(helper.make_node("Gemm", [layer.inputs[0], *names], [product]))
        if operator:
            nodes.append(helper.make_node(operator, [product], [layer.name]))
    widths = dict(job.inputs) | {layer.name: layer.width for layer in job.layers}

    def value(name: str) -> object:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", widths[name]])

    inputs, outputs = [value(name) for name, _ in job.inputs], [value(output.name) for output in job.outputs]
    opsets = [helper.make_opsetid("", _OPSET)]
    model = helper.make_model(
        helper.make_graph(nodes, job.name, inputs, outputs, weights), opset_imports=opsets, ir_version=_IR_VERSION
    )
    checker.check_model(model)
    return bytes(model.SerializeToString())


class Prediction(Peer):
    versions = ("onnxruntime", "onnx", "numpy")

    def __init__(self, job: Job, threads: int) -> None:
        super().__init__(job, threads)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(graph(job), options, providers=["CPUExecutionProvider"])
        self.batches = [job.batch("input", k) for k in range(job.batches)]

    def check(self) -> list[float]:
        return [float(value) for value in np.ravel(self.session.run(None, self.batches[0])[0])]

    def run(self) -> None:
        predict = self.session.run
        for _ in range(self.job.steps // self.job.batches):
            for batch in self.batches:
                predict(None, batch)
