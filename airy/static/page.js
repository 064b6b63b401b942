/* Page: what the other scripts share. They are loaded in the order page, drafts, forms, socket, watch, live, and use only
   what stands before them. Every page works without them; with them text is never lost, votes do not reload, and news comes by
   itself. Two rules: what is new is offered, never put in; and no block is touched that has the focus or somebody's
   text. */
"use strict";

const me = document.body.dataset.user;
const post = document.querySelector("article.whole")?.dataset.post;
const words = document.getElementById("words").dataset;
const say = (text, value) => text.replace(/%[ds]/, value);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

/* Tabs: each has a name of its own, which stays through a reload. They tell each other what they did. */

const invented = () => Math.random().toString(36).slice(2);
let tab = invented();
try {
  tab = sessionStorage.getItem("airy:tab") || tab;
  sessionStorage.setItem("airy:tab", tab);
} catch { /* private window: a new name at each reload */ }
const page = invented();
const others = new Set();
const channel = self.BroadcastChannel ? new BroadcastChannel(`airy:${me}`) : { postMessage() {}, addEventListener() {} };
channel.addEventListener("message", ({ data }) => {
  if (data.who) channel.postMessage({ here: tab, page });
  if (data.here) others.add(data.here);
});

/* Numbers change in place, and a line at the edge says what happened. */

const live = document.getElementById("live");
let hide;

function put(element, value) {
  if (element.textContent.trim() === String(value)) return;
  element.textContent = value;
  element.classList.remove("changed");
  requestAnimationFrame(() => element.classList.add("changed"));
}

function announce(node) {
  live.replaceChildren(node);
  clearTimeout(hide);
  hide = setTimeout(function away() {
    if (live.matches(":hover, :focus-within")) hide = setTimeout(away, 3000);
    else live.replaceChildren();
  }, 8000);
}

/* Offers: one button says how much is new; nothing moves until it is pressed. */

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

/* Menus close by themselves. */

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") all(".menu[open]").forEach((menu) => { menu.open = false; });
});
document.addEventListener("click", (event) => {
  all(".menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
});
