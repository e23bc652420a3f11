"""ONNX Runtime as a peer: inference of networks, written as ONNX graphs."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from konv.bench.course_network import EPSILON
from konv.bench.libraries import channels_first
from konv.bench.network import NETWORKS, Network, Operation
from konv.bench.prepared import Prepared

poisoned = nullcontext
OPSET, IR_VERSION = 17, 8  # which every ONNX Runtime since 1.12 reads
_options = onnxruntime.SessionOptions()


def start(threads: int) -> dict[str, str]:
    """Set the number of threads, which don't spin; returns what results should tell."""
    _options.intra_op_num_threads = threads
    _options.inter_op_num_threads = 1
    _options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return {"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__}


def _network(peer: str, name: str, batch: int) -> Prepared:
    network = NETWORKS[name]()
    model = graph(network, batch).SerializeToString()
    session = onnxruntime.InferenceSession(model, _options, providers=["CPUExecutionProvider"])
    images = {"v0": np.ascontiguousarray(network.images(batch).transpose(0, 3, 1, 2))}
    return Prepared(lambda feed: session.run(None, feed)[0], [images], lambda y: [y])


def graph(network: Network, batch: int) -> Any:
    """Write a network as an ONNX model; value number i is called `v{i}`."""
    nodes, constants = [], []
    for number, (operation, own) in enumerate(
        zip(network.operations, channels_first.weights(network), strict=True)
    ):
        if operation.kind == "input":
            continue
        names = [f"w{number}_{i}" for i in range(len(own))]
        constants += [numpy_helper.from_array(array, name) for array, name in zip(own, names, strict=True)]
        inputs = [f"v{i}" for i in operation.inputs] + names
        nodes += _nodes(operation, own, inputs, f"v{number}")
    height, width, channels = network.operations[0].shape
    last = len(network.operations) - 1
    made = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("v0", TensorProto.FLOAT, [batch, channels, height, width])],
        [
            helper.make_tensor_value_info(
                f"v{last}", TensorProto.FLOAT, [batch, *network.operations[-1].shape]
            )
        ],
        constants,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def _nodes(operation: Operation, weights: list[Any], inputs: list[str], output: str) -> list[Any]:
    window = {
        "kernel_shape": [operation.size] * 2,
        "strides": [operation.stride] * 2,
        "pads": [operation.padding] * 4,
    }
    match operation.kind:
        case "conv":
            return [helper.make_node("Conv", inputs, [output], **window)]
        case "depthwise":
            return [helper.make_node("Conv", inputs, [output], group=len(weights[0]), **window)]
        case "batch_norm":
            return [helper.make_node("BatchNormalization", inputs, [output], epsilon=EPSILON)]
        case "max_pool":
            return [helper.make_node("MaxPool", inputs, [output], **window)]
        case "dense":
            return [helper.make_node("Gemm", inputs, [output], transB=1)]
        case "mean":
            pooled = f"{output}_pooled"
            nodes = [helper.make_node("GlobalAveragePool", inputs, [pooled])]
            return [*nodes, helper.make_node("Flatten", [pooled], [output])]
    plain = {"relu": "Relu", "add": "Add", "flatten": "Flatten"}
    return [helper.make_node(plain[operation.kind], inputs, [output])]


SUBJECTS = {"network": _network}
