// The call card: microphone → media stream → speaker. What the agent says and how soon comes from the log of the call,
// as it is kept, not from here.

import { Line } from "./line.js";

const card = document.getElementById("call-card");
const words = JSON.parse(card.dataset.words);
const by = (id) => document.getElementById(id);
const say = (template, n) => template.replace("{n}", n);

// Pause between two attempts to go on with a call whose stream broke.
const RETRY_MS = 500;

// Lines kept in the two lists.
const CAPTIONS = 100;
const CONSOLE = 200;

let call = null;

by("call-body").hidden = false;
by("call-start").addEventListener("click", start);
by("call-stop").addEventListener("click", stop);
by("call-sample").addEventListener("click", sample);
for (const key of card.querySelectorAll("[data-digit]")) {
  key.addEventListener("click", () => press(key.dataset.digit));
}
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, dialog");
  if (call?.line?.isOpen && !typing && !event.ctrlKey && !event.metaKey && !event.altKey && /^[0-9*#]$/.test(event.key)) {
    press(event.key);
    event.preventDefault();
  }
});
addEventListener("pagehide", () => call?.line?.hangUp());

function state(text, kind = "") {
  by("call-state").textContent = text;
  by("call-state").dataset.kind = kind;
}

function help(text) {
  by("call-help").hidden = !text;
  by("call-help-text").textContent = text ?? "";
}

function append(list, text, most, kind = "") {
  const line = document.createElement("li");
  line.textContent = text;
  if (kind) line.dataset.kind = kind;
  list.append(line);
  while (list.children.length > most) list.firstElementChild.remove();
  list.scrollTop = list.scrollHeight;
}

function log(text) {
  const at = call ? `${((performance.now() - call.began) / 1000).toFixed(2)} s  ` : "";
  append(by("console"), at + text, CONSOLE);
}

function buttons(running) {
  by("call-start").disabled = running;
  by("call-stop").disabled = !running;
  for (const button of card.querySelectorAll("[data-digit], #call-sample")) button.disabled = !running;
}

async function start() {
  if (call) return;
  const mine = (call = { began: performance.now(), latencies: [], waited: null });
  by("captions").replaceChildren();
  by("console").replaceChildren();
  by("latency-last").textContent = by("latency-median").textContent = "–";
  help(null);
  card.dataset.used = "";
  buttons(true);
  state(words.starting, "busy");
  log("starting");
  try {
    await sound(mine);
    const ticket = await admission();
    // Stopped meanwhile.
    if (call !== mine) return;
    log(`admitted ${ticket.call_sid}`);
    follow(mine, ticket.call_sid);
    connect(mine, ticket);
  } catch (error) {
    end(mine, error instanceof Refused ? error.message : say(words.failed, error.message), "bad");
  }
}

function stop() {
  const mine = call;
  if (!mine) return;
  mine.hungUp = true;
  const open = mine.line?.isOpen;
  mine.line?.hangUp();
  if (!open) end(mine, words.ended);
}

// A stream of the call, the first one or one after a break.
function connect(mine, ticket) {
  mine.ticket = ticket;
  mine.line = new Line(ticket, {
    open: () => opened(mine),
    media: (mulaw) => mine.speaker.port.postMessage({ mulaw }, [mulaw.buffer]),
    mark: (mark) => mine.speaker.port.postMessage({ mark }),
    clear: () => {
      log("clear");
      mine.speaker.port.postMessage({ clear: true });
    },
    closed: (code, wasOpen) => closed(mine, code, wasOpen),
  });
}

class Refused extends Error {}

// The two worklets, and the microphone if there is one.
async function sound(mine) {
  if (!globalThis.AudioWorkletNode) throw new Refused(globalThis.isSecureContext ? words.no_audio : words.insecure);
  mine.context = new AudioContext({ latencyHint: "interactive" });
  await mine.context.resume();
  await Promise.all(["microphone.js", "speaker.js"].map((name) =>
    mine.context.audioWorklet.addModule(new URL(name, import.meta.url))));
  mine.microphone = new AudioWorkletNode(mine.context, "microphone", { numberOfInputs: 1, outputChannelCount: [1] });
  mine.speaker = new AudioWorkletNode(mine.context, "speaker", { numberOfInputs: 0, outputChannelCount: [1] });
  // Its output is silence; connected, so that it runs.
  mine.microphone.connect(mine.context.destination);
  mine.speaker.connect(mine.context.destination);
  mine.microphone.port.onmessage = ({ data }) => {
    by("meter-in").value = data.level;
    if (mine.started) mine.line.media(data.mulaw);
  };
  mine.speaker.port.onmessage = ({ data }) => fromSpeaker(mine, data);
  try {
    if (!navigator.mediaDevices) throw new DOMException("", "SecurityError");
    mine.recorder = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
    });
    mine.context.createMediaStreamSource(mine.recorder).connect(mine.microphone);
    log("microphone");
  } catch (error) {
    help({ NotAllowedError: words.denied, SecurityError: words.insecure }[error.name] ?? words.no_microphone);
    log(`no microphone (${error.name})`);
  }
}

async function admission() {
  let answer;
  try {
    answer = await fetch("/audio/api/call/", { method: "POST" });
  } catch {
    throw new Refused(words.no_network);
  }
  const said = await answer.json().catch(() => ({}));
  if (answer.ok) return said;
  throw new Refused(say(answer.status === 503 ? words.full : words.failed, said.detail ?? String(answer.status)));
}

function opened(mine) {
  if (call !== mine) return;
  log("connection_established");
  log(`ready (${mine.context.sampleRate} Hz)`);
  mine.line.start();
  mine.started = true;
  mine.since ??= performance.now();
  mine.clock ??= setInterval(() => clock(mine), 500);
  log("started");
  state(words.talking, "good");
  by("call-stop").focus();
}

function clock(mine) {
  const seconds = Math.floor((performance.now() - mine.since) / 1000);
  by("call-lasted").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function fromSpeaker(mine, { mark, level, playing, overflow }) {
  // Played means heard: the device's own delay comes on top. A mark goes back to the stream it came by.
  const { line } = mine;
  if (mark !== undefined) setTimeout(() => line.mark(mark), 1000 * (mine.context.outputLatency || 0));
  if (level !== undefined) by("meter-out").value = level;
  if (overflow) log(`overflow: ${overflow} samples lost`);
  if (playing !== undefined && call === mine && mine.started) {
    log(playing ? "playing" : "silent");
    state(playing ? words.agent_speaks : words.talking, "good");
  }
}

// The log of this call: captions, latencies.
function follow(mine, sid) {
  mine.events = new EventSource(`/audio/api/logs/stream?after=0&call=${encodeURIComponent(sid)}`);
  mine.events.addEventListener("row", ({ data }) => {
    const row = JSON.parse(data);
    if (row.event === "said") append(by("captions"), row.response_text || words.sound, CAPTIONS);
    // As the caller feels it: from his falling silent, so the wait for the end of his turn counts. What the agent says
    // into a silence, or first of all, answers nobody.
    if (row.event === "turn_ended") mine.waited = row.detail?.waited_ms ?? 0;
    if (row.event === "answered" && mine.waited !== null && Number.isFinite(row.detail?.after_ms)) {
      latency(mine, mine.waited + row.detail.after_ms);
      mine.waited = null;
    }
    if (row.event === "failed") log(`failed: ${row.detail?.error ?? ""}`);
    if (row.event === "call_ended") {
      log(`call_ended (${row.detail?.reason ?? ""})`);
      mine.events.close();
    }
  });
}

function latency(mine, ms) {
  mine.latencies.push(ms);
  const sorted = mine.latencies.toSorted((one, other) => one - other);
  by("latency-last").textContent = say(words.ms, ms);
  by("latency-median").textContent = say(words.ms, sorted[Math.floor((sorted.length - 1) / 2)]);
}

function press(digit) {
  if (!call?.started) return;
  call.line.digit(digit);
  log(`digit ${digit}`);
}

// The clip goes in where the microphone does.
async function sample() {
  const mine = call;
  if (!mine?.started) return;
  by("call-sample").disabled = true;
  try {
    const answer = await fetch(card.dataset.sample);
    const clip = mine.context.createBufferSource();
    clip.buffer = await mine.context.decodeAudioData(await answer.arrayBuffer());
    clip.connect(mine.microphone);
    clip.onended = () => { by("call-sample").disabled = call === null; };
    clip.start();
    log("sample");
  } catch (error) {
    by("call-sample").disabled = false;
    log(`no sample: ${error.message}`);
  }
}

function closed(mine, code, wasOpen) {
  if (call !== mine) return;
  log(`closed (${code})`);
  if (mine.hungUp) end(mine, words.ended);
  else if (!wasOpen && mine.ticket.stream === 1) end(mine, words.not_opened, "bad");
  else resume(mine, code === 1000 || code === 1005);
}

// As a carrier does: after each stream it asks how to go on, also after one that was closed in order, because an agent
// may leave the line for a moment. What of the agent's speech was on its way is thrown away; he says it again.
async function resume(mine, inOrder) {
  mine.started = false;
  mine.speaker.port.postMessage({ clear: true });
  if (!inOrder) state(words.reconnecting, "busy");
  const { call_sid, stream, token, return_ms } = mine.ticket;
  const address = `/audio/api/call/${call_sid}/resume/${stream}/?token=${token}`;
  const until = performance.now() + return_ms;
  let next = null;
  for (;;) {
    next = await asked(address);
    if (call !== mine) return;
    if (next || performance.now() >= until) break;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    if (call !== mine) return;
  }
  if (next?.path) {
    log(`goes on with stream ${next.stream}`);
    connect(mine, next);
  } else if (next?.then === "over") {
    end(mine, words.ended);
  } else {
    end(mine, words.lost, "bad");
  }
}

// The answer; null if there is none, or one that may be another in a moment.
async function asked(address) {
  try {
    const answer = await fetch(address, { method: "POST" });
    if (answer.status >= 500) return null;
    return answer.ok ? await answer.json() : {};
  } catch {
    return null;
  }
}

function end(mine, text, kind = "") {
  if (call !== mine) return;
  call = null;
  clearInterval(mine.clock);
  mine.started = false;
  mine.microphone?.port.postMessage("close");
  mine.speaker?.port.postMessage({ close: true });
  for (const track of mine.recorder?.getTracks() ?? []) track.stop();
  mine.context?.close();
  // Its last rows come when they are on disk.
  setTimeout(() => mine.events?.close(), 5000);
  by("meter-in").value = by("meter-out").value = -60;
  const here = card.contains(document.activeElement);
  buttons(false);
  state(text, kind);
  append(by("console"), "ended", CONSOLE);
  if (here) by("call-start").focus();
}
