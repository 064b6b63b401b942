/* Socket: one connection to /ws/notifications/. It comes back by itself, sleeps while the tab is hidden, and says when
   it is off. Watch and live add what else is to be done with frames. */
"use strict";

/* All in milliseconds. */
const SLEEP_AFTER = 5 * 60 * 1000; // A tab that is hidden for so long closes its socket and stops its timers.
const SAY_AFTER = 5000; // An interruption that is shorter is not shown.
const ANSWER_WITHIN = 10000; // A connection that is not ready by then, or has not answered a ping, is dead.
const PING_EVERY = 2000; // Tabs that are changed quickly send no more pings than this.
const STEADY_AFTER = 10000; // A connection that was ready for so long ends the row of failures.
const FIRST_PAUSE = 500, LONGEST_PAUSE = 30000; // Before the next try; the real pause is between 0 and this, at random.
const ONLINE_WITHIN = 1000; // Those who come back online together connect within this time, each at random.
const ASK_EVERY = 15000; // Without a socket the bell asks so often.

/* The line that says that the connection is off. */

const line = document.getElementById("connection");

function explain(text, to) {
  const node = to ? Object.assign(document.createElement("a"), { href: to, textContent: text }) : text;
  line.replaceChildren(...(text ? [node] : []));
}

/* The stream: the last number seen, kept through reloads of the tab. */

const remembered = (() => {
  try {
    const kept = JSON.parse(sessionStorage.getItem("airy:stream"));
    return kept?.user === me ? kept : null;
  } catch { return null; }
})();
const stream = { seq: Number(document.body.dataset.seq || 0), epoch: document.body.dataset.epoch || "" };
if (remembered && remembered.epoch === stream.epoch) stream.seq = Math.max(stream.seq, remembered.seq);

function remember(seq) {
  stream.seq = Math.max(stream.seq, seq);
  try { sessionStorage.setItem("airy:stream", JSON.stringify({ user: me, ...stream })); } catch { /* private window */ }
}

/* Frames. */

const noSocket = { readyState: WebSocket.CLOSED, close() {} };
let socket = noSocket, started = false, asleep = false, readySince = 0, failures = 0, pingedAt = 0, retryAfter;
let again, answer, beat, overdue, poll, sleep;

const whenReady = [];
const hears = {
  ready(frame) {
    [answer, overdue].forEach(clearTimeout);
    [beat, poll].forEach(clearInterval);
    overdue = poll = undefined;
    readySince = Date.now();
    beat = setInterval(ping, frame.hb * 1000);
    explain("");
    if (frame.seq < stream.seq) stream.seq = frame.seq;
    stream.epoch = frame.epoch;
    remember(frame.seq);
    whenReady.forEach((act) => act(frame));
  },
  drain(frame) { retryAfter = frame.retry_ms; },
  pong() { clearTimeout(answer); },
};

function send(frame) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

function ping() {
  if (Date.now() - pingedAt < PING_EVERY) return;
  pingedAt = Date.now();
  send({ op: "ping" });
  clearTimeout(answer);
  answer = setTimeout(lost, ANSWER_WITHIN);
}

/* Connect, lose the connection, connect again. */

function connect() {
  drop();
  const mine = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/notifications/`);
  socket = mine;
  answer = setTimeout(lost, ANSWER_WITHIN);
  overdue ??= setTimeout(notReady, SAY_AFTER);
  mine.addEventListener("open", () => {
    send({ op: "hello", v: 1, user: Number(me), last_seq: stream.seq, epoch: stream.epoch });
  });
  mine.addEventListener("message", (event) => {
    const frame = JSON.parse(event.data);
    if (mine === socket && Object.hasOwn(hears, frame.op)) hears[frame.op](frame);
  });
  mine.addEventListener("close", (event) => { if (mine === socket) lost(event.code); });
}

function drop() {
  [again, answer].forEach(clearTimeout);
  clearInterval(beat);
  const old = socket;
  socket = noSocket;
  beat = undefined;
  readySince = 0;
  old.close();
}

function disconnect() {
  drop();
  [overdue, sleep].forEach(clearTimeout);
  clearInterval(poll);
  overdue = poll = undefined;
}

/* Nothing but the user ends these: protocol, not signed in, banned. */
const FINAL = {
  4400: () => explain(words.outdated, location.href),
  4401: () => explain(words.signedout, words.login),
  4403: () => explain(words.banned),
};

function end(code) {
  started = false;
  disconnect();
  FINAL[code]();
}

function lost(code) {
  if (readySince && Date.now() - readySince >= STEADY_AFTER) failures = 0;
  drop();
  if (Object.hasOwn(FINAL, code)) return end(code);
  const pause = Math.random() * Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** failures);
  failures += 1;
  again = setTimeout(connect, retryAfter ?? pause);
  retryAfter = undefined;
  overdue ??= setTimeout(notReady, SAY_AFTER);
}

/* Without a socket the bell asks, from the same number on. What cannot be asked either is off. */

function notReady() {
  clearInterval(poll);
  poll = setInterval(askInstead, ASK_EVERY);
  askInstead();
}

async function askInstead() {
  if (document.hidden) return;
  const reached = await catchUp();
  if (poll) explain(reached ? "" : navigator.onLine ? words.paused : words.away);
}

async function catchUp() {
  try {
    const signal = AbortSignal.timeout(SAY_AFTER);
    const response = await fetch(`/api/notifications?after_seq=${stream.seq}`, { signal, headers: { Accept: "application/json" } });
    if (response.status === 401) end(4401);
    if (!response.ok) return response.status < 500;
    const page = await response.json();
    page.items.forEach((note) => hears.note(note));
    if (page.unread !== undefined) hears.unread(page);
    return true;
  } catch { return false; }
}

/* A tab that is hidden for long sleeps. When it is shown it connects from its number on. */

function shownOrHidden() {
  clearTimeout(sleep);
  if (document.hidden) {
    sleep = setTimeout(() => { asleep = true; disconnect(); explain(""); }, SLEEP_AFTER);
  } else {
    asleep = false;
    if (socket.readyState === WebSocket.OPEN) ping();
    else if (socket.readyState !== WebSocket.CONNECTING) connect();
    if (poll) askInstead();
  }
}

addEventListener("offline", () => {
  if (started || !me) explain(words.away);
  if (started && !asleep) lost();
});
addEventListener("online", () => {
  if (started || !me) explain("");
  if (!started || asleep) return;
  [again, overdue].forEach(clearTimeout);
  overdue = setTimeout(notReady, SAY_AFTER);
  again = setTimeout(connect, Math.random() * ONLINE_WITHIN);
});

function start() {
  started = true;
  remember(stream.seq);
  connect();
  if (document.hidden) shownOrHidden();
}

if (me) {
  document.addEventListener("visibilitychange", () => { if (started) shownOrHidden(); });
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", (event) => { if (event.persisted) start(); });
  all("form[data-logout]").forEach((form) => form.addEventListener("submit", disconnect));
}
