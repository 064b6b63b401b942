/* Drafts: what is typed stays in this browser, for each tab by itself, until the server says that it has it. */
"use strict";

const shelf = {
  prefix: `airy:text:${me}:`,
  key: (name, of = tab) => `airy:text:${me}:${of}:${name}`,
  read(name, of = tab) {
    try { return JSON.parse(localStorage.getItem(this.key(name, of))); } catch { return null; }
  },
  write(name, value) {
    try { localStorage.setItem(this.key(name), JSON.stringify(value)); } catch { /* private window, or full: no shelf */ }
  },
  drop(name, of = tab) {
    try { localStorage.removeItem(this.key(name, of)); } catch { /* as above */ }
  },
  /* Pairs of a tab and the name of a draft in it. */
  entries() {
    try {
      const keys = Object.keys(localStorage).filter((key) => key.startsWith(this.prefix));
      return keys.map((key) => key.slice(this.prefix.length)).map((key) => [key.slice(0, key.indexOf(":")), key.slice(key.indexOf(":") + 1)]);
    } catch { return []; }
  },
  names(prefix = "") {
    return this.entries().filter(([of, name]) => of === tab && name.startsWith(prefix)).map(([, name]) => name);
  },
  /* Take over a draft of a tab that was closed, the newest one of this name. */
  adopt(name) {
    const left = this.entries().filter(([of, one]) => one === name && of !== tab && !others.has(of));
    const [newest] = left.sort(([one], [other]) => (this.read(name, other)?.at ?? 0) - (this.read(name, one)?.at ?? 0));
    if (!newest) return false;
    this.write(name, this.read(name, newest[0]));
    this.drop(name, newest[0]);
    return true;
  },
};

const fieldsOf = (form) => all("textarea, select, input:not([type=hidden])", form);
const original = new WeakMap();

function restore(form) {
  const fields = fieldsOf(form);
  const kept = shelf.read(form.dataset.draft);
  // A page that came back with this very text (a preview, an error) is no new beginning.
  fields.forEach((field) => original.set(field, kept?.values[field.name] === field.value ? kept.base[field.name] : field.value));
  if (kept) {
    const changed = fields.filter((field) => field.name in kept.values && kept.base[field.name] === field.value && kept.values[field.name] !== field.value);
    changed.forEach((field) => { field.value = kept.values[field.name]; });
    if (changed.length) noteRestored(form, changed);
  }
}

function keepDraft(form) {
  const name = form.dataset.draft;
  const fields = fieldsOf(form);
  restore(form);
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
  shelf.entries().forEach(([of, name]) => { if (!(Date.now() - shelf.read(name, of)?.at < month)) shelf.drop(name, of); });
}
all("form[data-draft]").forEach(keepDraft);
all("form[data-logout]").forEach((form) => form.addEventListener("submit", () => shelf.entries().forEach(([of, name]) => shelf.drop(name, of))));

/* Ask which tabs are open. A copy of a tab has its name, too, and takes another; an empty form takes what a closed tab
   has left. */
if (me) {
  channel.postMessage({ who: page });
  setTimeout(() => {
    if (others.has(tab)) {
      const copied = shelf.names().map((name) => [name, shelf.read(name)]);
      tab = invented();
      try { sessionStorage.setItem("airy:tab", tab); } catch { /* private window */ }
      copied.forEach(([name, value]) => shelf.write(name, value));
    }
    all("form[data-draft]").forEach((form) => {
      if (!shelf.read(form.dataset.draft) && shelf.adopt(form.dataset.draft)) restore(form);
    });
    openKeptReplies(true);
  }, 250);
}

/* Answers: the form opens beneath the comment. */

const answerForm = document.querySelector("#comments > form.answer, .comment > form.answer");

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
  openKeptReplies(false);
}

/* Open the answers that this tab keeps; `left`: those of closed tabs, too. */
function openKeptReplies(left) {
  if (!answerForm) return;
  const names = left ? shelf.entries().filter(([of]) => !others.has(of)).map(([, name]) => name) : shelf.names();
  names.filter((name) => name.startsWith(`comment:${post}:`)).forEach((name) => {
    const link = document.querySelector(`a[data-reply="${CSS.escape(name.split(":")[2])}"]`);
    if (!link) return;
    if (!shelf.read(name)) shelf.adopt(name);
    openReply(link);
  });
}

const wanted = /^#comment-(\d+)$/.exec(location.hash);
if (post && wanted && !document.getElementById(wanted[0].slice(1)) && !new URLSearchParams(location.search).has("comment")) {
  location.replace(`/posts/${post}?comment=${wanted[1]}${wanted[0]}`);
}
