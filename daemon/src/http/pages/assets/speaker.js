// The worklet that speaks: µ-law in, sound at the browser's rate out, with a small buffer against jitter. It also says
// what a carrier says: a mark when all before it was played, or thrown away by a clear.

import { LINE_RATE, at, decode, filter, loudness } from "./sound.js";

// Held back before speech begins; less is enough if nothing more comes for as long.
const JITTER_SECS = 0.08;

// The most that is kept: 65 s. What comes beyond it is lost and reported.
const RING = 1 << 19;

// Samples of the line that one report of loudness covers.
const REPORT_SAMPLES = 400;

class Speaker extends AudioWorkletProcessor {
  constructor() {
    super();
    this.filter = filter(LINE_RATE, sampleRate);
    this.ring = new Float32Array(RING);
    this.written = 0;
    this.position = 0;
    this.marks = [];
    this.playing = false;
    this.waitingSince = null;
    this.heard = [];
    this.open = true;
    this.port.onmessage = ({ data }) => this.told(data);
  }

  told({ mulaw, mark, clear, close }) {
    if (mulaw) {
      if (this.written - this.position + mulaw.length > RING / 2) {
        this.port.postMessage({ overflow: mulaw.length });
        return;
      }
      if (!this.playing && this.waitingSince === null) this.waitingSince = currentTime;
      for (const byte of mulaw) this.ring[this.written++ & (RING - 1)] = decode(byte);
      // The filter looks a little ahead: behind the last sample there is silence.
      for (let ahead = 0; ahead <= this.filter.half; ahead++) this.ring[(this.written + ahead) & (RING - 1)] = 0;
    }
    if (mark !== undefined) this.marks.push({ name: mark, at: this.written });
    if (clear) {
      this.position = this.written;
      this.ring.fill(0);
      this.settle();
    }
    if (close) this.open = false;
  }

  // Marks whose sound is over go back; a dry buffer ends the playing.
  settle() {
    while (this.marks.length > 0 && this.marks[0].at <= this.position) {
      this.port.postMessage({ mark: this.marks.shift().name });
    }
    if (this.position >= this.written) {
      this.waitingSince = null;
      this.turn(false);
    }
  }

  turn(playing) {
    if (this.playing !== playing) {
      this.playing = playing;
      this.port.postMessage({ playing });
    }
  }

  process(_, [[out]]) {
    const buffered = (this.written - this.position) / LINE_RATE;
    if (!this.playing && this.waitingSince !== null) {
      if (buffered >= JITTER_SECS || currentTime - this.waitingSince >= JITTER_SECS) this.turn(true);
    }
    let place = 0;
    for (; this.playing && place < out.length && this.position < this.written; place++) {
      out[place] = at(this.ring, this.position, this.filter);
      this.position = Math.min(this.position + this.filter.step, this.written);
      this.heard.push(out[place]);
    }
    for (; place < out.length; place++) {
      out[place] = 0;
      this.heard.push(0);
    }
    if (this.heard.length >= REPORT_SAMPLES * (sampleRate / LINE_RATE)) {
      this.port.postMessage({ level: loudness(this.heard) });
      this.heard = [];
    }
    this.settle();
    return this.open;
  }
}

registerProcessor("speaker", Speaker);
