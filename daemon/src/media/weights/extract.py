"""Writes silero_8k.f32 from the ONNX file that the Silero team publishes. README.md says how to run it.

What is left out, because the forward pass in ../silero.rs never multiplies by it: the Fourier basis (a periodic Hann
window times sines and cosines, computed at start), the taps that only ever meet the zero padding, and one of the two
LSTM biases (they are always added, so their sum is kept).

The file is a plain row of little-endian floats, layer after layer, weights before biases, and within a layer
[tap][input][output]: the network's inner loop runs over outputs.
"""

import hashlib
import pathlib
import sys

import numpy as np
import onnx
from onnx import numpy_helper

ONNX_SHA256 = "7671cd04b004e9076da0d4a7b1a5aec36adf161c39230c1cb94a4fd5db6bbd28"  # silero-vad 6.2.3, op18_ifless
PARAMETERS = 198_017


def layers(onnx_path):
    model = onnx.load(onnx_path)
    named = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}

    def get(name):
        return named["model_8k." + name].astype(np.float32)

    # Which taps of a width-3 kernel meet real frames. The four spectra shrink to two and then to one, so the third
    # convolution sees (padding, first, second) and the fourth (padding, only, padding).
    for layer, taps in enumerate([(0, 1, 2), (0, 1, 2), (1, 2), (1,)]):
        weight = get(f"encoder.{layer}.reparam_conv.weight")  # output, input, tap
        for tap in taps:
            yield weight[:, :, tap].T
        yield get(f"encoder.{layer}.reparam_conv.bias")
    yield get("decoder.rnn.weight_ih").T
    yield get("decoder.rnn.weight_hh").T
    yield get("decoder.rnn.bias_ih") + get("decoder.rnn.bias_hh")
    yield get("decoder.decoder.2.weight")
    yield get("decoder.decoder.2.bias")


def main(onnx_path):
    digest = hashlib.sha256(pathlib.Path(onnx_path).read_bytes()).hexdigest()
    if digest != ONNX_SHA256:
        sys.exit(f"{onnx_path}: sha256 {digest}, expected {ONNX_SHA256}; nothing written")
    row = np.concatenate([layer.ravel() for layer in layers(onnx_path)])
    assert row.size == PARAMETERS, row.size
    target = pathlib.Path(__file__).with_name("silero_8k.f32")
    target.write_bytes(row.astype("<f4").tobytes())
    print(f"{target}: {row.size} parameters, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
