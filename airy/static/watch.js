/* Watch: the posts whose numbers change in place. All posts of the page; if they are more than the server allows, those
   in or near the window. */
"use strict";

const MOST_WATCHED = 100; // The server watches no more posts for one socket,
const MOST_FRAMES = 100; // and closes it after more frames about them
const FRAMES_WITHIN = 11000; // within this time; in milliseconds, one second more than it counts.
const SETTLED_AFTER = 300; // What is scrolled past faster is not watched.

const known = new Set(all("article[data-post]").map((article) => article.dataset.post));
const toWatch = known.size > MOST_WATCHED ? new Set() : known;
const watched = new Set();
let sent = [], watchedBy, turn;

function watch() {
  clearTimeout(turn);
  if (!readySince) return;
  const now = Date.now();
  sent = sent.filter((at) => now - at < FRAMES_WITHIN);
  const near = [...toWatch].slice(0, MOST_WATCHED);
  const frames = [
    ...[...watched].filter((id) => !near.includes(id)).map((id) => ({ op: "unwatch", post_id: Number(id) })),
    ...near.filter((id) => !watched.has(id)).map((id) => ({ op: "watch", post_id: Number(id), now: true })),
  ];
  for (const frame of frames.slice(0, MOST_FRAMES - sent.length)) {
    send(frame);
    sent.push(now);
    watched[frame.op === "watch" ? "add" : "delete"](String(frame.post_id));
  }
  if (frames.some((frame) => watched.has(String(frame.post_id)) !== (frame.op === "watch"))) {
    turn = setTimeout(watch, FRAMES_WITHIN - (now - sent[0]));
  }
}

whenReady.push(() => {
  if (watchedBy !== socket) {
    watchedBy = socket;
    watched.clear();
    sent = [];
  }
  watch();
});

if (toWatch !== known) {
  const observer = new IntersectionObserver((entries) => {
    entries.forEach(({ target, isIntersecting }) => toWatch[isIntersecting ? "add" : "delete"](target.dataset.post));
    clearTimeout(turn);
    turn = setTimeout(watch, SETTLED_AFTER);
  }, { rootMargin: "100% 0%" });
  all("article[data-post]").forEach((article) => observer.observe(article));
}

/* Counts that come together are shown together, before the next frame is drawn; in a hidden tab, when it is shown. */

const waiting = new Map();

hears.counts = (counts) => {
  if (!waiting.size) requestAnimationFrame(showWaiting);
  waiting.set(counts.post_id, counts);
};

function showWaiting() {
  waiting.forEach(showCounts);
  waiting.clear();
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
