// The worklet that hears: whatever is connected to it, at the browser's rate, becomes frames of 20 ms of µ-law. It runs
// without a microphone too and then makes silence, as a telephone does whose caller is quiet.

import { FRAME_SAMPLES, LINE_RATE, at, encode, filter, loudness } from "./sound.js";

const RING = 8192;

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.filter = filter(sampleRate, LINE_RATE);
    this.ring = new Float32Array(RING);
    this.written = 0;
    this.next = 0;
    this.frame = new Float32Array(FRAME_SAMPLES);
    this.filled = 0;
    this.open = true;
    this.port.onmessage = () => { this.open = false; };
  }

  process([channels]) {
    const length = channels[0]?.length ?? 128;
    for (let place = 0; place < length; place++) {
      let sample = 0;
      for (const channel of channels) sample += channel[place] / channels.length;
      this.ring[this.written++ & (RING - 1)] = sample;
    }
    while (this.next + this.filter.half < this.written) {
      this.frame[this.filled++] = at(this.ring, this.next, this.filter);
      this.next += this.filter.step;
      if (this.filled === FRAME_SAMPLES) this.send();
    }
    return this.open;
  }

  send() {
    this.filled = 0;
    const mulaw = Uint8Array.from(this.frame, encode);
    this.port.postMessage({ mulaw, level: loudness(this.frame) }, [mulaw.buffer]);
  }
}

registerProcessor("microphone", Microphone);
