"""Makes the sound in input.ulaw and records in probabilities.tsv what the published network says about it.

    python record.py path/to/silero_vad_op18_ifless.onnx        (silero-vad 6.2.3; needs numpy and onnxruntime)

The sound is made here, by pulses through four moving resonances with noise for the consonants: nobody's voice, so
nobody's licence. It was tuned until the network gives every kind of answer, from a plain no to a plain yes.
"""

import pathlib
import sys

import numpy as np
import onnxruntime

RATE, WINDOW, CONTEXT = 8000, 256, 32
HERE = pathlib.Path(__file__).parent

# First four formants in Hz (textbook averages of a man's vowels).
VOWELS = {
    "a": (730, 1090, 2440, 3400),
    "e": (530, 1840, 2480, 3400),
    "i": (270, 2290, 3010, 3500),
    "o": (570, 840, 2410, 3300),
    "u": (300, 870, 2240, 3300),
}


def resonate(source, frequencies, bandwidth):
    """Two-pole resonator whose frequency moves sample by sample."""
    r = np.exp(-np.pi * bandwidth / RATE)
    a1 = 2 * r * np.cos(2 * np.pi * frequencies / RATE)
    out = np.zeros(len(source))
    y1 = y2 = 0.0
    for n, x in enumerate(source):
        y = (1 - r) * x + a1[n] * y1 - r * r * y2
        out[n] = y
        y1, y2 = y, y1
    return out


def speech(rng, text, pitch):
    """`text` in vowels; ' ' is a pause, 's' a hiss, everything else is joined by gliding."""
    per = int(0.14 * RATE)
    count = per * len(text)
    formants = np.zeros((4, count))
    voiced = np.zeros(count)
    hiss = np.zeros(count)
    last = VOWELS["a"]
    for i, letter in enumerate(text):
        span = slice(i * per, (i + 1) * per)
        target = VOWELS.get(letter, last)
        glide = np.clip(np.linspace(0, 2.5, per), 0, 1)
        for f in range(4):
            formants[f, span] = last[f] + (target[f] - last[f]) * glide
        last = target
        shape = 0.25 + 0.75 * np.sin(np.pi * np.linspace(0.08, 0.92, per))
        if letter in VOWELS:
            voiced[span] = shape
        elif letter == "s":
            hiss[span] = 0.3 * shape
    smooth = np.hanning(200) / np.hanning(200).sum()
    voiced = np.convolve(voiced, smooth, "same")
    t = np.arange(count) / RATE
    f0 = pitch * (1 + 0.12 * np.sin(2 * np.pi * 0.9 * t) - 0.06 * t + 0.01 * np.sin(2 * np.pi * 5.5 * t))
    phase = np.cumsum(f0 / RATE)
    pulses = np.zeros(count)
    pulses[1:][np.floor(phase[1:]) > np.floor(phase[:-1])] = 1.0
    pulses = np.convolve(pulses, np.hanning(18), "same")
    source = voiced * (pulses + 0.02 * rng.standard_normal(count))
    out = source
    for f, bandwidth in enumerate((70, 90, 130, 200)):
        out = resonate(out, formants[f], bandwidth) + 0.15 * out
    high = np.diff(rng.standard_normal(count + 1))
    out = out / (np.abs(out).max() + 1e-9) + 0.05 * hiss * high
    return np.diff(out, prepend=0.0) * 0.6 + out * 0.4


def sound(rng):
    silence = np.zeros(int(0.4 * RATE))
    man = speech(rng, "aeio asui eau isa oei ua", 115)
    woman = speech(rng, "ia osae uio esi aou ei", 205)
    noise = rng.standard_normal(int(0.7 * RATE))
    t = np.arange(int(0.5 * RATE)) / RATE
    tone = np.sin(2 * np.pi * 440 * t)
    parts = [
        silence, 0.30 * man, silence, 0.05 * noise, 0.2 * woman + 0.01 * rng.standard_normal(len(woman)),
        0.2 * tone, silence, 0.02 * man[: RATE], 3.0 * woman[: RATE], silence,
        0.1 * man + 0.03 * rng.standard_normal(len(man)),
    ]
    joined = np.concatenate(parts)
    joined = joined[: len(joined) // WINDOW * WINDOW]
    return np.clip(np.round(joined * 32767), -32768, 32767).astype(np.int64)


def encode(samples):
    magnitude = np.minimum(np.abs(samples), 32635) + 132
    segment = np.floor(np.log2(magnitude)).astype(np.int64) - 7
    code = (segment << 4) | ((magnitude >> (segment + 3)) & 15)
    return (~(code | np.where(samples < 0, 128, 0)) & 255).astype(np.uint8)


def decode(codes):
    bits = ~codes.astype(np.int64) & 255
    magnitude = ((((bits & 15) << 3) + 132) << ((bits >> 4) & 7)) - 132
    return np.where(bits & 128, -magnitude, magnitude)


def probabilities(onnx_path, samples):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    network = onnxruntime.InferenceSession(onnx_path, options, providers=["CPUExecutionProvider"])
    state = np.zeros((2, 1, 128), np.float32)
    context = np.zeros((1, CONTEXT), np.float32)
    for start in range(0, len(samples), WINDOW):
        window = (samples[start : start + WINDOW] / 32768).astype(np.float32)[None, :]
        both = np.concatenate([context, window], axis=1)
        answer, state = network.run(None, {"input": both, "state": state, "sr": np.array(RATE, np.int64)})
        context = window[:, -CONTEXT:]
        yield float(answer[0, 0])


def main(onnx_path):
    codes = encode(sound(np.random.default_rng(8000)))
    (HERE / "input.ulaw").write_bytes(codes.tobytes())
    rows = list(probabilities(onnx_path, decode(codes)))
    (HERE / "probabilities.tsv").write_text("".join(f"{p:.7f}\n" for p in rows))
    yes, no = sum(p > 0.5 for p in rows), sum(p < 0.1 for p in rows)
    print(f"{len(rows)} windows, {yes} above 0.5, {no} below 0.1")


if __name__ == "__main__":
    main(sys.argv[1])
