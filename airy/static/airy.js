/* Airy, live. Every page works without this; with it text is never lost, votes do not reload, and news comes by itself.
   Two rules: what is new is offered, never put in; and no block is touched that has the focus or somebody's text. */
"use strict";

const me = document.body.dataset.user;
const words = document.getElementById("words").dataset;
const say = (text, value) => text.replace(/%[ds]/, value);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

/* Drafts: what is typed stays in this browser until the server says that it has it. ------------------------------- */

const shelf = {
  key: (name) => `airy:draft:${me}:${name}`,
  read(name) {
    try { return JSON.parse(localStorage.getItem(this.key(name))); } catch { return null; }
  },
  write(name, value) {
    try { localStorage.setItem(this.key(name), JSON.stringify(value)); } catch { /* private window, or full: no shelf */ }
  },
  drop(name) {
    try { localStorage.removeItem(this.key(name)); } catch { /* as above */ }
  },
  names(prefix = "") {
    try { return Object.keys(localStorage).filter((key) => key.startsWith(this.key(prefix))).map((key) => key.slice(this.key("").length)); } catch { return []; }
  },
};

const fieldsOf = (form) => all("textarea, select, input:not([type=hidden])", form);
const original = new WeakMap();

function keepDraft(form) {
  const name = form.dataset.draft;
  const fields = fieldsOf(form);
  const kept = shelf.read(name);
  // A page that came back with this very text (a preview, an error) is no new beginning.
  fields.forEach((field) => original.set(field, kept?.values[field.name] === field.value ? kept.base[field.name] : field.value));
  if (kept) {
    const changed = fields.filter((field) => field.name in kept.values && kept.base[field.name] === field.value && kept.values[field.name] !== field.value);
    changed.forEach((field) => { field.value = kept.values[field.name]; });
    if (changed.length) noteRestored(form, changed);
  }
  form.addEventListener("input", () => {
    const values = {}, base = {};
    fields.forEach((field) => { values[field.name] = field.value; base[field.name] = original.get(field); });
    shelf.write(name, { values, base, at: Date.now() });
  });
}

function noteRestored(form, fields) {
  const note = document.createElement("p");
  note.className = "message restored";
  const discard = Object.assign(document.createElement("button"), { type: "button", className: "button", textContent: words.discard });
  discard.addEventListener("click", () => {
    fields.forEach((field) => { field.value = original.get(field); });
    shelf.drop(form.dataset.draft);
    note.remove();
  });
  note.append(words.restored, " ", discard);
  form.prepend(note);
}

if (me) {
  all("[data-accepted]").forEach((message) => shelf.drop(message.dataset.accepted));
  const month = 30 * 24 * 3600 * 1000;
  shelf.names().forEach((name) => { if (!(Date.now() - shelf.read(name)?.at < month)) shelf.drop(name); });
}
all("form[data-draft]").forEach(keepDraft);
all("form[data-logout]").forEach((form) => form.addEventListener("submit", () => shelf.names().forEach((name) => shelf.drop(name))));

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.matches("textarea")) {
    event.preventDefault();
    event.target.form.requestSubmit();
  }
  if (event.key === "Escape") all(".menu[open]").forEach((menu) => { menu.open = false; });
});
document.addEventListener("click", (event) => {
  all(".menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
});

/* Answers: the form opens beneath the comment. -------------------------------------------------------------------- */

const answerForm = document.querySelector("#comments > form.answer, .comment > form.answer");
const post = document.querySelector("article.whole")?.dataset.post;

function openReply(link) {
  const comment = link.closest(".comment");
  const open = comment.querySelector(":scope > form.answer");
  if (open) return open;
  const form = answerForm.cloneNode(true);
  const id = link.dataset.reply;
  all(".restored, .message", form).forEach((note) => note.remove());
  form.dataset.draft = `comment:${post}:${id}`;
  form.elements.parent_id.value = id;
  const text = form.elements.content, label = form.querySelector(`label[for="${text.id}"]`);
  text.value = "";
  text.id = label.htmlFor = `reply-${id}`;
  label.textContent = say(words.reply, link.dataset.name);
  const cancel = Object.assign(document.createElement("button"), { type: "button", className: "button", textContent: words.cancel });
  cancel.addEventListener("click", () => { shelf.drop(form.dataset.draft); form.remove(); link.focus(); });
  form.querySelector(".buttons .button").after(cancel);
  link.closest(".actions").after(form);
  keepDraft(form);
  return form;
}

if (answerForm) {
  all("a[data-reply]").forEach((link) => link.addEventListener("click", (event) => {
    event.preventDefault();
    openReply(link).elements.content.focus();
  }));
  shelf.names(`comment:${post}:`).map((name) => name.split(":")[2]).filter(Boolean).forEach((id) => {
    const link = document.querySelector(`a[data-reply="${id}"]`);
    if (link) openReply(link);
  });
}
const wanted = /^#comment-(\d+)$/.exec(location.hash);
if (post && wanted && !document.getElementById(wanted[0].slice(1)) && !new URLSearchParams(location.search).has("comment")) {
  location.replace(`/posts/${post}?comment=${wanted[1]}${wanted[0]}`);
}

/* Votes and numbers change in place. ------------------------------------------------------------------------------ */

function put(element, value) {
  if (element.textContent.trim() === String(value)) return;
  element.textContent = value;
  element.classList.remove("changed");
  requestAnimationFrame(() => element.classList.add("changed"));
}

function showVote(form, state) {
  put(form.querySelector("[data-score]"), state.score);
  all("button", form).forEach((button) => {
    const mine = state.my_vote === button.dataset.way;
    button.value = mine ? "none" : button.dataset.way;
    button.setAttribute("aria-pressed", mine);
  });
}

if (me) {
  all("form.votes").forEach((form) => form.addEventListener("submit", async (event) => {
    const button = event.submitter;
    if (!button || form.dataset.plain) return;
    event.preventDefault();
    const away = button.value === "none";
    try {
      const response = await fetch(form.dataset.api, {
        method: away ? "DELETE" : "PUT",
        headers: { "Content-Type": "application/json", "X-CSRFToken": form.elements.csrfmiddlewaretoken.value },
        body: away ? undefined : JSON.stringify({ vote_type: button.value }),
      });
      if (!response.ok) throw new Error(response.status);
      showVote(form, await response.json());
    } catch {
      form.dataset.plain = "yes";
      form.requestSubmit(button);
    }
  }));
}

/* Offers: one button says how much is new; nothing moves until it is pressed. ------------------------------------- */

const offer = document.getElementById("offer");
offer.addEventListener("click", () => {
  if (offer.dataset.to) location.assign(offer.dataset.to);
  else location.reload();
});

function show(text, to = "") {
  offer.textContent = text;
  offer.dataset.to = to;
  offer.hidden = false;
}

const list = document.querySelector("[data-live]");
const known = new Set(all("article[data-post]").map((article) => article.dataset.post));

async function look() {
  const response = await fetch(list.dataset.live, { headers: { Accept: "application/json" } });
  if (!response.ok) return [];
  const ids = (await response.json()).items.map((item) => String(item.id));
  const first = ids.findIndex((id) => known.has(id));
  const fresh = first < 0 ? ids : ids.slice(0, first);
  if (fresh.length) show(say(words.new, fresh.length), location.pathname + location.search);
  return ids;
}

/* A bell may ring before the post has reached the feed: look again until it has. */
async function lookFor(id, pauses = [0, 500, 1500, 4000, 10000]) {
  for (const pause of pauses) {
    await new Promise((resume) => setTimeout(resume, pause));
    if ((await look().catch(() => [])).includes(String(id))) return;
  }
}

if (list?.dataset.live) {
  const glance = () => { if (!document.hidden) look().catch(() => {}); };
  setInterval(glance, 60000);
  document.addEventListener("visibilitychange", glance);
}

function showCounts(counts) {
  all(`[data-post="${counts.post_id}"]`).forEach((block) => {
    all("form.votes[data-api^='/api/posts/'] [data-score]", block).forEach((element) => put(element, counts.score));
    all("[data-comments]", block).forEach((element) => put(element, counts.comments));
  });
  const thread = document.getElementById("comments");
  if (thread && String(counts.post_id) === post) {
    const more = counts.comments - Number(thread.dataset.said);
    if (more > 0) show(say(words.comments, more));
    else if (more < 0) thread.dataset.said = counts.comments;
  }
}

/* The bell. ------------------------------------------------------------------------------------------------------- */

const number = document.querySelector("[data-unread]");
const live = document.getElementById("live");
const title = document.title;
const notices = document.querySelector("[data-notices]");
let unread = Number(number?.textContent ?? 0);
let hide;

function ring(count) {
  if (count === unread) return;
  unread = count;
  put(number, count);
  number.hidden = !count;
  document.title = count ? `(${count}) ${title}` : title;
}

function tell(note) {
  const link = Object.assign(document.createElement("a"), { href: note.link, textContent: note.text });
  live.replaceChildren(link);
  clearTimeout(hide);
  hide = setTimeout(function away() {
    if (live.matches(":hover, :focus-within")) hide = setTimeout(away, 3000);
    else live.replaceChildren();
  }, 8000);
}

/* The socket speaks the protocol of /ws/notifications/: hello with the last number seen, then what came since. ----- */

const remembered = (() => {
  try {
    const kept = JSON.parse(sessionStorage.getItem("airy:stream"));
    return kept?.user === me ? kept : null;
  } catch { return null; }
})();
const stream = { seq: Number(document.body.dataset.seq || 0), epoch: document.body.dataset.epoch || "" };
if (remembered && remembered.epoch === stream.epoch) stream.seq = Math.max(stream.seq, remembered.seq);
let socket, tries = 0, pause, beat, answer, poll, again;

function remember(seq) {
  stream.seq = Math.max(stream.seq, seq);
  try { sessionStorage.setItem("airy:stream", JSON.stringify({ user: me, ...stream })); } catch { /* private window */ }
}

function received(note) {
  if (note.seq <= stream.seq) return;
  remember(note.seq);
  ring(note.unread ?? unread + 1);
  if (note.read) return;
  tell(note);
  if (notices) show(say(words.new, unread));
  if (note.kind === "post" && list?.dataset.live && !known.has(String(note.data.post_id))) lookFor(note.data.post_id);
}

const hears = {
  ready(frame) {
    tries = 0;
    clearInterval(poll);
    poll = undefined;
    if (frame.seq < stream.seq) stream.seq = frame.seq;
    stream.epoch = frame.epoch;
    remember(frame.seq);
    ring(frame.unread);
    clearInterval(beat);
    beat = setInterval(ping, frame.hb * 1000);
    [...known].slice(0, 50).forEach((id) => send({ op: "watch", post_id: Number(id), now: true }));
    readShown();
  },
  note: received,
  gone(frame) { remember(frame.seq); ring(frame.unread); },
  unread(frame) { ring(frame.unread); },
  counts: showCounts,
  reset() { stream.seq = 0; if (notices) show(say(words.new, unread)); },
  drain(frame) { pause = frame.retry_ms; },
  pong() { clearTimeout(answer); },
};

function send(frame) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

function ping() {
  send({ op: "ping" });
  clearTimeout(answer);
  answer = setTimeout(() => socket.close(), 10000);
}

function readShown() {
  if (notices && unread && !document.hidden) send({ op: "read", upto: Number(notices.dataset.notices), id: "shown" });
}

function connect() {
  clearTimeout(again);
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/notifications/`);
  const mine = socket;
  mine.addEventListener("open", () => send({ op: "hello", v: 1, last_seq: stream.seq, epoch: stream.epoch }));
  mine.addEventListener("message", (event) => {
    const frame = JSON.parse(event.data);
    if (Object.hasOwn(hears, frame.op)) hears[frame.op](frame);
  });
  mine.addEventListener("close", (event) => {
    clearInterval(beat);
    clearTimeout(answer);
    if (mine !== socket || [4400, 4401, 4403].includes(event.code)) return;
    tries += 1;
    if (tries >= 3 && !poll) { poll = setInterval(ask, 15000); ask(); }
    again = setTimeout(connect, pause ?? Math.min(60000, 1000 * 2 ** (tries - 1)) * (0.5 + Math.random()));
    pause = undefined;
  });
}

/* Without a socket the bell asks, from the same number on. */
async function ask() {
  if (document.hidden) return;
  try {
    const response = await fetch(`/api/notifications?after_seq=${stream.seq}`, { headers: { Accept: "application/json" } });
    if (response.status === 401) clearInterval(poll);
    if (!response.ok) return;
    const page = await response.json();
    page.items.forEach(received);
    if (page.unread !== undefined) ring(page.unread);
  } catch { /* offline: asked again in 15 s */ }
}

if (me && number) {
  if (unread) document.title = `(${unread}) ${title}`;
  remember(stream.seq);
  connect();
  addEventListener("online", () => { if (socket.readyState > 1) connect(); else ping(); });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    if (socket.readyState === WebSocket.OPEN) ping();
    else if (socket.readyState > 1) connect();
    readShown();
  });
  addEventListener("pagehide", () => { const old = socket; socket = { readyState: 3, close() {} }; old.close(); });
  addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
}
