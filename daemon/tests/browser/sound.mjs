// What was heard, compared: loudness, envelopes, utterances, and how alike two of them are. Samples are Float32Array.

export const RATE = 16_000;

export function rms(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.sqrt(sum / Math.max(1, samples.length));
}

// Loudness of each 20 ms.
export function envelope(samples) {
  const step = RATE / 50;
  return Float32Array.from({ length: Math.floor(samples.length / step) }, (_, at) =>
    rms(samples.subarray(at * step, (at + 1) * step)));
}

// Stretches of sound with at least this much silence around them.
export function utterances(samples, silenceMs = 400, floor = 0.004) {
  const loud = envelope(samples);
  const found = [];
  let begin = -1;
  let last = -1;
  loud.forEach((value, at) => {
    if (value < floor) return;
    if (begin < 0 || (at - last) * 20 > silenceMs) {
      if (begin >= 0) found.push([begin, last + 1]);
      begin = at;
    }
    last = at;
  });
  if (begin >= 0 && (loud.length - last) * 20 > silenceMs) found.push([begin, last + 1]);
  const step = RATE / 50;
  return found.map(([from, to]) => samples.subarray(from * step, to * step)).filter((one) => one.length > RATE / 5);
}

// The best normalised correlation of `small` within `large`, both with their mean taken off; every `stride`-th place.
export function likeness(large, small, stride = 1) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const middle = mean(small);
  const wanted = small.map((value) => value - middle);
  const energy = Math.sqrt(wanted.reduce((sum, value) => sum + value * value, 0));
  let best = 0;
  for (let at = 0; at + small.length <= large.length; at += stride) {
    const piece = large.subarray(at, at + small.length);
    const here = mean(piece);
    let product = 0;
    let power = 0;
    for (let place = 0; place < piece.length; place++) {
      const value = piece[place] - here;
      product += value * wanted[place];
      power += value * value;
    }
    if (power > 0) best = Math.max(best, product / (Math.sqrt(power) * energy));
  }
  return best;
}

// How alike two utterances sound: the middle one of their pieces of a quarter of a second, each compared sample by
// sample with what is near its place in the other. A gap that a busy machine made costs one piece, not all.
export function sameVoice(one, other) {
  const [piece, near] = [RATE / 4, RATE / 5];
  const padded = new Float32Array(other.length + 2 * near + piece);
  padded.set(other, near);
  const loud = rms(one) / 2;
  const scores = [];
  for (let at = 0; at + piece <= one.length; at += piece / 2) {
    const part = one.subarray(at, at + piece);
    if (rms(part) > loud) scores.push(likeness(padded.subarray(at, at + 2 * near + piece), part));
  }
  scores.sort((left, right) => left - right);
  return scores[Math.floor(scores.length / 2)] ?? 0;
}
