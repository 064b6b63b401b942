/* Forms: a vote changes in place; a refusal, or no connection, leaves the page as it is and says what happened. */
"use strict";

/* The answer with its JSON as `body`, which is null for any other content; null if there was no answer. */
async function ask(address, options) {
  try {
    const response = await fetch(address, { ...options, redirect: "manual", headers: { Accept: "application/json", ...options.headers } });
    if (response.type === "opaqueredirect") return { ok: true, body: { to: location.href } };
    const isJson = (response.headers.get("Content-Type") ?? "").startsWith("application/json");
    return { ok: response.ok, status: response.status, body: isJson ? await response.json() : null };
  } catch {
    return null;
  }
}

/* Another tab may have got a new token since this page was made. */
function token(form) {
  return /(?:^|; )csrftoken=([^;]+)/.exec(document.cookie)?.[1] ?? form.elements.csrfmiddlewaretoken.value;
}

function sendPlainly(form, button) {
  form.dataset.plain = "yes";
  form.requestSubmit(button);
}

function refuse(form, body) {
  const text = body?.detail ?? words.offline;
  if (!form.dataset.draft) return announce(document.createTextNode(text));
  all(":scope > .refusal", form).forEach((old) => old.remove());
  const note = Object.assign(document.createElement("p"), { className: "message error refusal", textContent: text });
  note.setAttribute("role", "alert");
  form.prepend(note);
}

/* Votes. */

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
    const response = await ask(form.dataset.api, {
      method: away ? "DELETE" : "PUT",
      headers: { "Content-Type": "application/json", "X-CSRFToken": token(form) },
      body: away ? undefined : JSON.stringify({ vote_type: button.value }),
    });
    if (response?.status === 401) return sendPlainly(form, button);
    if (!response?.ok) return refuse(form, response?.body ?? (response && { detail: words.refused }));
    showVote(form, response.body);
    channel.postMessage({ voted: form.dataset.api, state: response.body });
  }));
}

channel.addEventListener("message", ({ data }) => {
  if (data.voted) all(`form.votes[data-api="${CSS.escape(data.voted)}"]`).forEach((form) => showVote(form, data.state));
});

/* Pages that show the form again, to be sent once more: after a lost token, to ask, with errors. */
const WITH_FORM = [403, 409, 422];

document.addEventListener("submit", async (event) => {
  const form = event.target, button = event.submitter;
  if (event.defaultPrevented || form.dataset.plain || button?.name === "preview") return;
  if (!form.matches("form[data-draft], form[data-stay], form.votes")) {
    // Of a double click the second answer would be shown, which lacks what is shown once.
    if (form.method === "post" && Date.now() - (form.dataset.sent ?? 0) < 1000) event.preventDefault();
    else form.dataset.sent = Date.now();
    return;
  }
  event.preventDefault();
  if (form.dataset.sending) return;
  form.dataset.sending = "yes";
  const fields = new URLSearchParams(new FormData(form, button));
  fields.set("csrfmiddlewaretoken", token(form));
  const response = await ask(form.action, { method: "POST", body: fields });
  delete form.dataset.sending;
  if (response && !response.body && WITH_FORM.includes(response.status)) return sendPlainly(form, button);
  if (!response?.ok || !response.body) return refuse(form, response?.body ?? (response && { detail: words.refused }));
  const here = location.pathname + location.search;
  location.assign(response.body.to);
  if (response.body.to.split("#")[0] === here && response.body.to.includes("#")) location.reload();
});

/* Ctrl+Enter sends. */

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || !event.target.matches("textarea")) return;
  event.preventDefault();
  event.target.form.requestSubmit();
});
