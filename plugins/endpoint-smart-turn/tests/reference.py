"""Makes reference.json with the extractor that comes with the model, and ONNX Runtime:
pip install pipecat-ai==1.14.0 onnxruntime, then python3 reference.py smart-turn-v3.2-cpu.onnx > reference.json"""
import json, pathlib, sys, wave
import numpy as np, onnxruntime
from pipecat.audio.turn.smart_turn._whisper_features import compute_whisper_log_mel_features

def sound(samples, noise):
    state, made = 1, []
    for n in range(samples):
        state = (state * 1664525 + 1013904223) % 2**32
        hiss = int(((state >> 16) - 32768) * noise / 32768)
        saw = lambda period, loud: n % period * 2 * loud // period - loud
        swell = n % 8000 * 100 // 8000
        made.append(int(saw(131, 6000) * swell / 100) + saw(37, 1500) + hiss + 40)
    return np.array(made, dtype=np.float32) / 32768

cases, model = [], onnxruntime.InferenceSession(sys.argv[1])
for samples, noise in [(128000, 200), (40000, 20), (150000, 3000)]:
    heard = sound(samples, noise)[-128000:]
    mel = compute_whisper_log_mel_features(np.pad(heard, (128000 - len(heard), 0)))
    places = [(band, frame) for band in (0, 1, 13, 40, 79) for frame in (0, 1, 2, 400, 549, 550, 551, 798, 799)]
    values = [[band, frame, round(float(mel[band, frame]), 5)] for band, frame in places]
    mean = float(mel.mean(dtype=np.float64))
    cases.append({"samples": samples, "noise": noise, "mean": mean, "values": values})

# A clip of speech, cut early and given a fifth of a second of silence; each sample twice makes 16 kHz of 8.
path = pathlib.Path(__file__).parent / "../../../daemon/tests/data/speech/good_morning.wav"
with wave.open(str(path)) as file:
    clip = np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16)
cuts = []
for percent in (30, 53, 55, 60, 80):
    heard = np.concatenate([np.repeat(clip[: len(clip) * percent // 100], 2), np.zeros(3200, np.int16)])
    heard = heard.astype(np.float32) / 32768
    mel = compute_whisper_log_mel_features(np.pad(heard, (128000 - len(heard), 0)))
    cuts.append([percent, float(model.run(None, {"input_features": mel[None]})[0].flat[0])])
print(json.dumps({"spectrograms": cases, "clip": cuts}))
