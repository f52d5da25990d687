// The pages work without this script; it saves clicks and keeps the demo's
// figures up to date. It writes text only, never markup from data.
"use strict";

for (const form of document.querySelectorAll("form[data-submit-on-change]")) {
  form.addEventListener("change", () => form.requestSubmit());
  for (const button of form.querySelectorAll("[data-without-script]")) button.hidden = true;
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
}

// Figures marked so are fetched anew every few seconds. A document that comes as
// an answer runs no scripts.
const figures = document.querySelector("[data-refresh]");
if (figures?.dataset.refresh) {
  const fetchAnew = () => {
    const request = new XMLHttpRequest();
    request.responseType = "document";
    request.open("GET", location.href);
    request.addEventListener("load", () => {
      const fresh = request.response?.querySelector("[data-refresh]");
      const current = document.querySelector("[data-refresh]");
      if (fresh && fresh.textContent !== current.textContent) current.replaceWith(document.adoptNode(fresh));
    });
    request.send();
  };
  setInterval(() => document.hidden || fetchAnew(), Number(figures.dataset.refresh) * 1000);
}

const live = document.querySelector("[data-live]");
if (live) {
  const part = (name) => live.querySelector(`[data-live-${name}]`);
  const cell = (text, style) => {
    const td = document.createElement("td");
    const span = td.appendChild(document.createElement("span"));
    span.textContent = text;
    td.className = style === "number" ? style : "";
    span.className = style === "path" ? style : "";
    return td;
  };
  const show = (contacts) => {
    const sum = (key) => contacts.reduce((n, c) => n + c[key], 0);
    const some = contacts.length > 0;
    const count = part("count");
    count.textContent = contacts.length;
    count.className = "huge " + (some ? "some" : "none");
    part("requests").textContent = sum("requests");
    part("cookies").textContent = sum("cookies");
    part("none").hidden = some;
    part("some").hidden = part("list").hidden = !some;
    part("list").querySelector("tbody").replaceChildren(...contacts.map((c) => {
      const row = document.createElement("tr");
      row.append(cell(c.host, "path"), cell(c.vendor), cell(c.requests, "number"), cell(c.cookies, "number"));
      return row;
    }));
  };
  new EventSource(live.dataset.live).addEventListener("message", (e) => show(JSON.parse(e.data)));
}
