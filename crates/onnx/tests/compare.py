"""Checks the networks in a folder with onnx.checker, and holds their outputs in onnxruntime against Pellucid's.

    python compare.py FOLDER

For each N.onnx there are N.input and N.output, f32 row after row, and N.txt, what the network is."""

import glob
import os
import sys

import numpy as np
import onnx
import onnxruntime

wrong = 0
for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.onnx"))):
    stem = path[: -len(".onnx")]
    line = open(stem + ".txt").read()
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape
    x = np.fromfile(stem + ".input", dtype="<f4").reshape([-1, *shape[1:]])
    expected = np.fromfile(stem + ".output", dtype="<f4")
    got = session.run(None, {session.get_inputs()[0].name: x})[0].reshape(-1)
    # Relative to the size of the outputs: those near 0 are differences of larger numbers.
    off = np.max(np.abs(got - expected)) / np.max(np.abs(expected))
    print(f"{off:.1e}  {line}")
    wrong += not off <= 1e-4
sys.exit(wrong)
