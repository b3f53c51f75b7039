// The carrier's side of the media stream, in a browser: the messages Twilio would send, in its order, and what it does
// with the three that come back. No sound and no page in here.

// How long the daemon may take to close the stream.
const CLOSE_MS = 1500;

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

export class Line {
  // `told` has: open(), media(bytes), mark(name), clear(), closed(code, wasOpen).
  constructor(admitted, told) {
    this.callSid = admitted.call_sid;
    this.token = admitted.token;
    this.streamSid = `MZ${hex(crypto.getRandomValues(new Uint8Array(16)))}`;
    this.sequence = 0;
    this.chunk = 0;
    this.opened = false;
    const address = new URL(admitted.path, location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(address);
    this.socket.onopen = () => {
      this.opened = true;
      this.send({ event: "connected", protocol: "Call", version: "1.0.0" });
      told.open();
    };
    this.socket.onmessage = ({ data }) => this.read(data, told);
    this.socket.onclose = ({ code }) => told.closed(code, this.opened);
  }

  get isOpen() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  start() {
    this.numbered("start", {
      start: {
        accountSid: "web",
        streamSid: this.streamSid,
        callSid: this.callSid,
        tracks: ["inbound"],
        mediaFormat: { encoding: "audio/x-mulaw", sampleRate: 8000, channels: 1 },
        customParameters: { token: this.token },
      },
    });
  }

  media(mulaw) {
    const timestamp = String(this.chunk * 20);
    const chunk = String(++this.chunk);
    const payload = btoa(String.fromCharCode(...mulaw));
    this.numbered("media", { media: { track: "inbound", chunk, timestamp, payload } });
  }

  digit(digit) {
    this.numbered("dtmf", { dtmf: { track: "inbound_track", digit } });
  }

  mark(name) {
    this.numbered("mark", { mark: { name } });
  }

  // The daemon answers `stop` by closing; if it does not, we do.
  hangUp() {
    if (this.isOpen) this.numbered("stop", { stop: { accountSid: "web", callSid: this.callSid } });
    setTimeout(() => this.socket.close(1000), this.isOpen ? CLOSE_MS : 0);
  }

  numbered(event, rest) {
    const sequenceNumber = String(++this.sequence);
    this.send({ event, sequenceNumber, ...rest, streamSid: this.streamSid });
  }

  send(message) {
    if (this.isOpen) this.socket.send(JSON.stringify(message));
  }

  read(text, told) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (message.streamSid !== this.streamSid) return;
    if (message.event === "media") {
      told.media(Uint8Array.from(atob(message.media.payload), (letter) => letter.charCodeAt(0)));
    } else if (message.event === "mark") {
      told.mark(message.mark.name);
    } else if (message.event === "clear") {
      told.clear();
    }
  }
}
