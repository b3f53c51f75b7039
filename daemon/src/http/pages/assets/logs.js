// The table of logs as it lives: rows come by server-sent events, wait while somebody reads, and open a drawer.
// Everything from the log is shown as text.

const table = document.getElementById("rows");
const body = table.tBodies[0];
const words = JSON.parse(table.dataset.words);
const by = (id) => document.getElementById(id);
const say = (template, n) => template.replace("{n}", n);
const labels = [words.date, words.event, words.text, words.duration, words.sid, words.ip];

// Rows in the page, and rows that wait while it is paused; older ones are a page away.
const ROWS = 500;

// How far down the reader may have scrolled and still see new rows come.
const SCROLLED_PX = 240;

const language = document.documentElement.lang;
const clock = new Intl.DateTimeFormat(language, {
  day: "2-digit", month: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23",
});
const seconds = new Intl.NumberFormat(language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

const KINDS = {
  failed: "bad", store_damaged: "bad", daemon_restarted: "bad", barge_in: "warm", no_input: "warm", resumed: "warm", wasted: "warm",
  departed: "warm", said: "good", answered: "good",
  call_opened: "blue", stream_started: "blue", stream_over: "blue", returned: "blue", call_ended: "blue",
};

let newest = Number(table.dataset.newest);
let waiting = [];
let count = 0;
let paused = false;
let hovered = false;

function cell(label, name, ...content) {
  const made = document.createElement("td");
  made.dataset.label = label;
  if (name) made.className = name;
  made.append(...content.filter((part) => part !== ""));
  return made;
}

function element(kind, attributes, text) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

function time(stamp) {
  const when = new Date(stamp);
  return element("time", { datetime: stamp, title: stamp }, Number.isNaN(when.valueOf()) ? stamp : clock.format(when));
}

// What the agent said, with what of it was not heard struck out, as the server does it.
function spoken({ event, response_text: text, detail }) {
  if (event !== "said") return [text];
  if (!text) return [element("span", { class: "soft" }, words.sound)];
  const heard = detail?.whole === false ? detail.heard : null;
  if (typeof heard !== "string" || !text.startsWith(heard) || heard === text) return [text];
  return [heard, element("s", { class: "unheard", title: words.unheard }, text.slice(heard.length))];
}

function build(row) {
  const made = document.createElement("tr");
  const open = element("button", { type: "button", class: `badge ${KINDS[row.event] ?? ""}`, "aria-label": say(words.open, row.event) }, row.event);
  open.addEventListener("click", () => show(row));
  const call = row.twilio_sid && element("a", { href: `/audio/logs/?call=${encodeURIComponent(row.twilio_sid)}`, title: row.twilio_sid }, row.twilio_sid);
  made.append(
    cell(labels[0], "time", time(row.timestamp)),
    cell(labels[1], "", open),
    cell(labels[2], "words", ...spoken(row)),
    cell(labels[3], "number", row.audio_length > 0 ? say(words.seconds, seconds.format(row.audio_length)) : ""),
    cell(labels[4], "name", call),
    cell(labels[5], "name", row.ip_address),
  );
  return made;
}

// The server's rows become rows like those that will follow.
for (const old of [...body.rows]) old.replaceWith(build(JSON.parse(old.dataset.row)));

function show(row) {
  const facts = [
    [words.date, row.timestamp], [words.event, row.event], [words.text, row.response_text], [words.sid, row.twilio_sid], [words.ip, row.ip_address],
  ];
  by("drawer-facts").replaceChildren(...facts.filter(([, value]) => value).flatMap(([name, value]) =>
    [element("dt", {}, name), element("dd", {}, value)]));
  by("drawer-json").textContent = JSON.stringify(row, null, 2);
  by("drawer-call").hidden = !row.twilio_sid;
  by("drawer-call").href = `/audio/logs/?call=${encodeURIComponent(row.twilio_sid)}`;
  by("drawer-copy").textContent = words.copy;
  by("drawer").showModal();
}

by("drawer-copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(by("drawer-json").textContent);
    by("drawer-copy").textContent = words.copied;
  } catch {
    getSelection().selectAllChildren(by("drawer-json"));
  }
});
by("drawer").addEventListener("click", (event) => {
  if (event.target === by("drawer")) by("drawer").close();
});

const holds = () => paused || hovered || scrollY > Math.max(SCROLLED_PX, table.getBoundingClientRect().top + scrollY);

function come(row) {
  if (row.id <= newest) return;
  newest = row.id;
  if (holds()) {
    count += 1;
    waiting.push(row);
    if (waiting.length > ROWS) waiting.shift();
    pill();
  } else {
    put([row]);
  }
}

function put(rows) {
  for (const row of rows) {
    const made = build(row);
    made.classList.add("fresh");
    body.prepend(made);
  }
  while (body.rows.length > ROWS) body.lastElementChild.remove();
  by("empty").hidden = body.rows.length > 0;
}

function release() {
  put(waiting);
  waiting = [];
  count = 0;
  pill();
}

function pill() {
  by("resume").hidden = count === 0;
  by("resume").textContent = say(words.resume, count);
}

function pause(now) {
  paused = now;
  by("pause").setAttribute("aria-pressed", String(paused));
  status(paused ? words.paused : words.live, paused ? "paused" : "live");
  if (!paused) release();
}

function status(text, kind) {
  by("live").hidden = false;
  by("live").dataset.kind = kind;
  by("live-text").textContent = text;
}

if (table.hasAttribute("data-live")) {
  by("pause").hidden = false;
  by("pause").addEventListener("click", () => pause(!paused));
  by("resume").addEventListener("click", () => {
    scrollTo({ top: 0 });
    pause(false);
  });
  body.addEventListener("pointerenter", ({ pointerType }) => { hovered = pointerType === "mouse"; });
  body.addEventListener("pointerleave", () => {
    hovered = false;
    if (!holds()) release();
  });
  addEventListener("scroll", () => {
    if (count > 0 && !holds()) release();
  }, { passive: true });
  document.addEventListener("keydown", (event) => {
    const busy = event.target.closest("input, select, textarea, button, a, dialog, [tabindex='0']");
    if (busy || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " ") {
      pause(!paused);
      event.preventDefault();
    } else if (event.key === "/") {
      by("text").focus();
      event.preventDefault();
    }
  });
  listen();
}

function listen() {
  const asked = new URLSearchParams(location.search);
  for (const name of ["lang", "theme", "limit"]) asked.delete(name);
  asked.set("after", newest);
  const stream = new EventSource(`/audio/api/logs/stream?${asked}`);
  stream.onopen = () => status(paused ? words.paused : words.live, paused ? "paused" : "live");
  stream.onerror = () => {
    status(words.reconnecting, "lost");
    // A browser gives up when it is refused; the daemon may only be full, or starting.
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  };
  stream.addEventListener("row", ({ data }) => come(JSON.parse(data)));
  stream.addEventListener("configuration", ({ data }) => {
    const { error } = JSON.parse(data);
    by("configuration").hidden = !error;
    by("configuration").querySelector("pre").textContent = error ?? "";
  });
}
