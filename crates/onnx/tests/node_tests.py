"""Writes ONNX's own backend node tests, those of float32, int64, int32 and bool, into a folder.

    python node_tests.py FOLDER

needs the package `onnx`. Each test becomes a folder with `model.onnx`, `input_0.pb`, …, `output_0.pb`, … (tensors in protobuf)
and a line `name op rtol atol` in `index.txt`. `node_tests.rs` runs them: ONNX_NODE_TESTS=FOLDER cargo test.
"""

import os
import sys
import warnings

import numpy as np
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

TYPES = {TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL}


def main(folder):
    warnings.filterwarnings("ignore")
    index = []
    cases = collect_testcases(None)
    # A test of a function's body counts for the op whose function it is.
    op_of = {case.name: case.model.graph.node[-1].op_type for case in cases}
    for case in cases:
        graph = case.model.graph
        values = [*graph.input, *graph.output]
        if any(not v.type.HasField("tensor_type") or v.type.tensor_type.elem_type not in TYPES for v in values):
            continue
        inputs, outputs = case.data_sets[0]
        if not all(isinstance(value, (np.ndarray, np.generic)) for value in [*inputs, *outputs]):
            continue
        path = os.path.join(folder, case.name)
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, "model.onnx"), "wb") as file:
            file.write(case.model.SerializeToString())
        for kind, tensors in (("input", inputs), ("output", outputs)):
            for i, tensor in enumerate(tensors):
                with open(os.path.join(path, f"{kind}_{i}.pb"), "wb") as file:
                    file.write(numpy_helper.from_array(np.asarray(tensor)).SerializeToString())
        op = op_of.get(case.name.split("_expanded")[0], op_of[case.name])
        index.append(f"{case.name} {op} {case.rtol} {case.atol}")
    with open(os.path.join(folder, "index.txt"), "w") as file:
        file.write("\n".join(index) + "\n")


main(sys.argv[1])
