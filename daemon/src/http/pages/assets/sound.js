// Samples: µ-law as telephones carry it (ITU-T G.711), and a windowed-sinc table for changing the rate. Pure; used by
// the two worklets.

export const LINE_RATE = 8000;
export const FRAME_SAMPLES = 160;

const BIAS = 0x84;
const CLIP = 32635;

// One sample in −1 … 1 as a µ-law byte.
export function encode(sample) {
  let value = Math.max(-CLIP, Math.min(CLIP, Math.round(sample * 32768)));
  const sign = value < 0 ? 0x80 : 0;
  value = Math.abs(value) + BIAS;
  const exponent = 31 - Math.clz32(value) - 7;
  return ~(sign | (exponent << 4) | ((value >> (exponent + 3)) & 0x0f)) & 0xff;
}

const DECODED = Float32Array.from({ length: 256 }, (_, byte) => {
  const code = ~byte & 0xff;
  const magnitude = (((code & 0x0f) << 3) + BIAS << (code >> 4 & 7)) - BIAS;
  return (code & 0x80 ? -magnitude : magnitude) / 32768;
});

// One µ-law byte as a sample in −1 … 1.
export function decode(byte) {
  return DECODED[byte];
}

// Loudness in dB below full scale; −60 for anything quieter.
export function loudness(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const rms = Math.sqrt(sum / Math.max(1, samples.length));
  return rms > 0.001 ? 20 * Math.log10(rms) : -60;
}

// Steps between two samples for which the filter is kept. 48 kHz needs 6 of them; for 44.1 kHz the nearest is taken,
// and the error stays below that of µ-law.
const PHASES = 96;

// Zero crossings of the sinc on each side: 60 dB down from 4.3 kHz on, flat to 3 kHz.
const CROSSINGS = 16;

// A low-pass at 3.6 kHz for going from `from` to `to` samples a second: `half` samples are needed on each side.
export function filter(from, to) {
  const scale = Math.max(1, from / to);
  const cutoff = (0.45 * LINE_RATE) / from;
  const half = Math.ceil(CROSSINGS * scale);
  const rows = [];
  for (let phase = 0; phase <= PHASES; phase++) {
    const row = new Float32Array(2 * half);
    let sum = 0;
    for (let tap = 0; tap < 2 * half; tap++) {
      const x = tap - half + 1 - phase / PHASES;
      const angle = 2 * Math.PI * cutoff * x;
      const sinc = x === 0 ? 1 : Math.sin(angle) / angle;
      const place = Math.PI * (x / half);
      const window = Math.abs(x) < half ? 0.42 + 0.5 * Math.cos(place) + 0.08 * Math.cos(2 * place) : 0;
      row[tap] = sinc * window;
      sum += row[tap];
    }
    rows.push(row.map((value) => value / sum));
  }
  return { half, step: from / to, rows };
}

// The value at a position between samples of a ring whose length is a power of two.
export function at(ring, position, { half, rows }) {
  const whole = Math.floor(position);
  const row = rows[Math.round((position - whole) * PHASES)];
  const mask = ring.length - 1;
  let value = 0;
  for (let tap = 0; tap < row.length; tap++) value += row[tap] * ring[(whole + tap - half + 1) & mask];
  return value;
}
