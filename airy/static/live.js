/* Live: what others do shows by itself: the offers of new things, and the bell. */
"use strict";

/* What is new in the list. */

const list = document.querySelector("[data-live]");

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
  const glance = () => look().catch(() => {});
  let glances = document.hidden ? undefined : setInterval(glance, 60000);
  document.addEventListener("visibilitychange", () => {
    clearInterval(glances);
    if (document.hidden) return;
    glances = setInterval(glance, 60000);
    glance();
  });
}

/* The bell. */

const number = document.querySelector("[data-unread]");
const title = document.title;
const notices = document.querySelector("[data-notices]");
let unread = Number(number?.textContent ?? 0);

function ring(count) {
  if (count === unread) return;
  unread = count;
  put(number, count);
  number.hidden = !count;
  all("form[data-read-all]").forEach((form) => { form.hidden = !count; });
  document.title = count ? `(${count}) ${title}` : title;
  if (!asleep) channel.postMessage({ unread });
}

/* The title of a tab that sleeps stays right by what the others say. */
channel.addEventListener("message", ({ data }) => { if (asleep && data.unread !== undefined) ring(data.unread); });

function tell(note) {
  announce(Object.assign(document.createElement("a"), { href: note.link, textContent: note.text }));
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

hears.note = received;
hears.gone = (frame) => { remember(frame.seq); ring(frame.unread); };
hears.unread = (frame) => ring(frame.unread);
hears.ack = (frame) => { if (frame.id === "shown") shown.length = 0; };
hears.reset = () => { stream.seq = 0; if (notices) show(say(words.new, unread)); };
whenReady.push((frame) => { ring(frame.unread); readShown(); });

/* What this page shows is read, and no more; its marks stay until one leaves. */
const shown = notices ? all("li.unread", notices).map((row) => Number(row.dataset.seq)) : [];

function readShown() {
  if (shown.length && !document.hidden) send({ op: "read", seqs: shown, id: "shown" });
}

if (me && number) {
  if (unread) document.title = `(${unread}) ${title}`;
  document.addEventListener("visibilitychange", readShown);
  channel.postMessage({ unread });
  start();
}
