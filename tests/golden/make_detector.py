"""Makes detector.onnx, which the tests of pose.infer run (needs `pip install onnx`).

Input (1, 3, 64, 64), outputs of RTMDet's form: dets (1, 1, 5) x1, y1, x2, y2, score and labels
(1, 1). The box is around what is darker than a quarter between the least and the greatest value.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 64
NODES: list = []
CONSTANTS = {
    "axis_1": np.array([1]),
    "axis_2": np.array([2]),
    "box_shape": np.array([1, 1, 1]),
    "label": np.array([[0]]),
    "quarter": np.float32(0.25),
    "side": np.float32(SIDE),
    "upwards": np.arange(1, SIDE + 1, dtype=np.float32),
    "downwards": np.arange(SIDE, 0, -1, dtype=np.float32),
    "score": np.array([[[0.9]]], np.float32),
}


def add(kind: str, *inputs: str, name: str | None = None, **attributes: int) -> str:
    """Adds a node and returns the name of its output."""
    output = name or f"{kind}_{len(NODES)}"
    NODES.append(helper.make_node(kind, list(inputs), [output], **attributes))
    return output


def ends(line: str) -> tuple[str, str]:
    """First pixel, and the one after the last, where a line (1, 64) of 0 and 1 is 1."""
    last = add("ReduceMax", add("Mul", line, "upwards"), keepdims=0)
    first = add("Sub", "side", add("ReduceMax", add("Mul", line, "downwards"), keepdims=0))
    return add("Reshape", first, "box_shape"), add("Reshape", last, "box_shape")


def main() -> None:
    """Builds and saves the graph."""
    grey = add("ReduceMean", "input", "axis_1", keepdims=0)
    low, high = add("ReduceMin", grey, keepdims=0), add("ReduceMax", grey, keepdims=0)
    threshold = add("Add", low, add("Mul", add("Sub", high, low), "quarter"))
    dark = add("Cast", add("Less", grey, threshold), to=TensorProto.FLOAT)
    x1, x2 = ends(add("ReduceMax", dark, "axis_1", keepdims=0))
    y1, y2 = ends(add("ReduceMax", dark, "axis_2", keepdims=0))
    add("Concat", x1, y1, x2, y2, "score", name="dets", axis=2)
    add("Identity", "label", name="labels")
    graph = helper.make_graph(
        NODES,
        "detector",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("dets", TensorProto.FLOAT, [1, 1, 5]),
            helper.make_tensor_value_info("labels", TensorProto.INT64, [1, 1]),
        ],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in CONSTANTS.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(Path(__file__).with_name("detector.onnx")))


if __name__ == "__main__":
    main()
