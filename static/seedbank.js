// Comfort on top of pages that work without it: nothing here is needed to read, publish or download.
"use strict";
(() => {
const root = document.documentElement;
const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
root.classList.add("js");
const icons = document.body.dataset.icons;

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}
function icon(name) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(ns, "use");
  use.setAttribute("href", `${icons}#${name}`);
  svg.append(use);
  return svg;
}
const said = el("div", { class: "sr", role: "status" });
document.body.append(said);
const say = (text) => { said.textContent = ""; requestAnimationFrame(() => { said.textContent = text; }); };

// ---- colours: the same form as without script, without the reload
const themeForm = $("[data-theme-form]");
themeForm?.addEventListener("submit", async (event) => {
  const theme = event.submitter?.value;
  if (!theme) return;
  event.preventDefault();
  if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
  for (const button of $$("button", themeForm)) button.setAttribute("aria-pressed", String(button.value === theme));
  const body = new URLSearchParams(new FormData(themeForm));
  body.set("theme", theme);
  try { await fetch(themeForm.action, { method: "POST", body, redirect: "manual" }); } catch { say("The choice of colours could not be kept."); }
});

// ---- times in the reader's own zone
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });
function bindTimes(from) {
  for (const time of $$("time[datetime]", from)) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) time.title = exact.format(at);
  }
}

// ---- menus close when one looks away; a popup near the edge of a scrolling table stays in view
document.addEventListener("click", (event) => {
  for (const menu of $$("[data-menu][open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = $("[data-menu][open]");
  if (menu) { menu.open = false; $("summary", menu).focus(); }
});

// Browsers that cannot unfold a closed <details> by style get it opened on wide screens.
const facets = $("[data-facets]");
if (facets && !CSS.supports("selector(::details-content)") && matchMedia("(min-width: 900px)").matches) facets.open = true;

// ---- copying, showing, asking
async function copy(text) {
  if (navigator.clipboard) { try { await navigator.clipboard.writeText(text); return true; } catch { /* no permission: try the old way */ } }
  const area = el("textarea", { class: "sr", readonly: "" });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("button");
  if (!button) return;
  if (button.dataset.copy !== undefined) {
    const done = await copy(button.dataset.copy);
    button.focus();
    const use = $("use", button);
    use?.setAttribute("href", `${icons}#${done ? "check" : "warning"}`);
    say(done ? "Copied" : "Copying is not allowed here");
    setTimeout(() => use?.setAttribute("href", `${icons}#copy`), 1500);
  } else if (button.dataset.show) {
    const input = document.getElementById(button.dataset.show);
    const shown = input.type === "text";
    input.type = shown ? "password" : "text";
    button.textContent = shown ? "Show" : "Hide";
    button.setAttribute("aria-pressed", String(!shown));
  } else if (button.dataset.help !== undefined) {
    help();
  }
});
document.addEventListener("focusin", (event) => { if (event.target.matches?.("[data-select]")) event.target.select(); });

function ask(question, yes) {
  const dialog = el("dialog", { "aria-label": "Please confirm" });
  const form = el("form", { method: "dialog", class: "form-end" },
    el("button", { class: "btn danger primary", value: "yes" }, yes), el("button", { class: "btn", value: "", autofocus: "" }, "Cancel"));
  dialog.append(el("p", {}, question), form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((answer) => dialog.addEventListener("close", () => { dialog.remove(); answer(dialog.returnValue === "yes"); }));
}
document.addEventListener("submit", async (event) => {
  const button = event.submitter;
  if (!button?.dataset.confirm || button.dataset.confirmed) return;
  event.preventDefault();
  if (await ask(button.dataset.confirm, button.textContent.trim() || button.getAttribute("aria-label"))) {
    button.dataset.confirmed = "1";
    event.target.requestSubmit(button);
  }
});

// ---- bookmarks without the reload; what is refused is sent again, for the page that says why
document.addEventListener("submit", async (event) => {
  const form = event.target, button = event.submitter;
  if (form.dataset.marks === undefined || !button || button.dataset.plain) return;
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form, button));
  const answer = await fetch(form.action, { method: "POST", body, redirect: "manual" }).catch(() => null);
  if (answer?.type !== "opaqueredirect") { button.dataset.plain = "1"; form.requestSubmit(button); return; }
  const added = button.name === "add";
  button.name = added ? "remove" : "add";
  button.title = added ? "Remove the bookmark" : "Bookmark";
  say(added ? "Bookmarked" : "Bookmark removed");
});

// ---- keys
const KEYS = [["/", "Search"], ["j", "Next torrent"], ["k", "Previous torrent"], ["o", "Open it"], ["d", "Download it"], ["?", "This help"]];
const OFF = "seedbank.keys.off";
const remembered = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
function remember(key, value) { try { if (value) localStorage.setItem(key, value); else localStorage.removeItem(key); } catch { /* private window: lasts for this page */ } }
let keysOff = remembered(OFF) === "1";
let chosen = -1;
function help() {
  if ($("dialog[open]")) return;
  const list = el("dl", { class: "facts" });
  for (const [key, what] of KEYS) list.append(el("dt", {}, el("kbd", {}, key)), el("dd", {}, what));
  const box = el("input", { type: "checkbox" });
  box.checked = !keysOff;
  box.addEventListener("change", () => { keysOff = !box.checked; remember(OFF, keysOff ? "1" : ""); });
  const dialog = el("dialog", { "aria-labelledby": "help-title" }, el("h2", { id: "help-title" }, "Keyboard"), list,
    el("label", { class: "check" }, box, "Use these single keys"),
    el("form", { method: "dialog", class: "form-end" }, el("button", { class: "btn", autofocus: "" }, "Close")));
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
}
function choose(step) {
  const rows = $$("[data-rows] tbody tr");
  if (!rows.length) return;
  rows[chosen]?.classList.remove("on");
  chosen = Math.max(0, Math.min(rows.length - 1, chosen + step));
  rows[chosen].classList.add("on");
  $(".n > a", rows[chosen]).focus({ preventScroll: true });
  rows[chosen].scrollIntoView({ block: "nearest" });
}
document.addEventListener("keydown", (event) => {
  if (keysOff || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || $("dialog[open]")) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
  const row = $$("[data-rows] tbody tr")[chosen];
  const act = {
    "/": () => $("[data-search]")?.select() ?? $("[data-search]")?.focus(),
    "j": () => choose(1), "k": () => choose(-1), "?": help,
    "o": () => $(".n > a", row ?? root)?.click(),
    "d": () => ((row && $(".dl", row)) ?? $("[data-download]"))?.click(),
  }[event.key];
  if (!act || ((event.key === "o") && !row)) return;
  event.preventDefault();
  act();
});

// ---- Markdown preview: a fragment from the server, which also cleans it
function bindPreview(area) {
  const button = $("button", area);
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    const form = button.form;
    const out = $("[data-preview-out]", area);
    button.disabled = true;
    try {
      const body = new URLSearchParams({ csrf: form.elements.csrf.value, description: form.elements.description.value });
      const answer = await fetch(area.dataset.preview, { method: "POST", body });
      if (!answer.ok) throw new Error(String(answer.status));
      $(".body", out).innerHTML = (await answer.text()) || "<p>Nothing to show yet.</p>";
    } catch {
      $(".body", out).textContent = "The preview could not be made. Your text is untouched; try again in a moment.";
    }
    out.hidden = false;
    button.disabled = false;
  });
}

// ---- reading a metainfo file before it is sent. The server judges; this only shows, and gives up calmly.
// Iterative, bounded in depth and in nodes, and copies nothing but names.
function readMetainfo(bytes) {
  const text = new TextDecoder();
  let at = 0, nodes = 0;
  const fail = (why) => { throw new Error(why); };
  function number(end) {
    const from = at;
    while (at < bytes.length && bytes[at] !== end) if (++at - from > 20) fail("a number is too long");
    if (at >= bytes.length) fail("it ends too early");
    const value = Number(text.decode(bytes.subarray(from, at++)));
    return Number.isSafeInteger(value) ? value : fail("a number is not one");
  }
  function string() {
    const length = number(58);
    if (length < 0 || at + length > bytes.length) fail("a string runs past the end");
    at += length;
    return bytes.subarray(at - length, at);
  }
  const stack = [];
  let result;
  do {
    if (at >= bytes.length) fail("it ends too early");
    if (++nodes > 400000) fail("it is too large to show");
    const top = stack[stack.length - 1];
    let value;
    if (bytes[at] === 101) {
      if (!top || top.key !== undefined) fail("it is not well formed");
      at++;
      value = stack.pop().value;
    } else {
      if (top?.value instanceof Map && top.key === undefined) { top.key = text.decode(string().subarray(0, 255)); continue; }
      const byte = bytes[at];
      if (byte === 100 || byte === 108) {
        if (stack.length >= 100) fail("it is nested too deeply");
        at++;
        stack.push({ value: byte === 100 ? new Map() : [], key: undefined });
        continue;
      }
      if (byte === 105) { at++; value = number(101); } else if (byte >= 48 && byte <= 57) value = string(); else fail("it is not well formed");
    }
    const parent = stack[stack.length - 1];
    if (!parent) result = value;
    else if (parent.value instanceof Map) { parent.value.set(parent.key, value); parent.key = undefined; } else parent.value.push(value);
  } while (stack.length);

  const info = result instanceof Map ? result.get("info") : undefined;
  if (!(info instanceof Map)) fail("it has no info part");
  const name = (value) => value instanceof Uint8Array ? text.decode(value.subarray(0, 255)) : "?";
  const size = (value) => Number.isSafeInteger(value) && value >= 0 ? value : 0;
  const files = [];
  if (Array.isArray(info.get("files"))) {
    for (const file of info.get("files")) {
      if (!(file instanceof Map) || !Array.isArray(file.get("path"))) continue;
      if (name(file.get("attr")).includes("p")) continue;
      files.push({ path: file.get("path").slice(0, 64).map(name).join("/"), size: size(file.get("length")) });
    }
  } else if (info.get("file tree") instanceof Map) {
    const todo = [["", info.get("file tree")]];
    while (todo.length) {
      const [path, tree] = todo.pop();
      for (const [key, value] of tree) {
        if (!(value instanceof Map)) continue;
        if (key === "") files.push({ path, size: size(value.get("length")) });
        else todo.push([(path ? `${path}/` : "") + key, value]);
      }
    }
    files.reverse();
  } else files.push({ path: name(info.get("name")), size: size(info.get("length")) });
  return { name: name(info.get("name")), files, total: files.reduce((sum, file) => sum + file.size, 0), private: info.get("private") === 1,
    kind: info.get("meta version") === 2 ? (info.has("pieces") ? "hybrid" : "v2") : "v1" };
}
function bytesText(n) {
  if (n < 1024) return `${n} B`;
  let unit = -1;
  do { n /= 1024; unit++; } while (n >= 1024 && unit < 5);
  return `${n >= 100 ? n.toFixed(0) : n.toFixed(1)} ${["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"][unit]}`;
}
const counted = (n, one, many) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
const SHOWN = 100;
async function describe(file, limit) {
  const item = el("li", {});
  const head = el("div", { class: "row" }, el("strong", {}, el("bdi", {}, file.name)));
  item.append(head);
  if (file.size > limit) { head.append(el("span", { class: "badge error" }, `over ${bytesText(limit)}`)); return item; }
  try {
    const torrent = readMetainfo(new Uint8Array(await file.arrayBuffer()));
    head.append(el("span", { class: "badge" }, torrent.kind));
    if (torrent.private) head.append(el("span", { class: "badge private" }, "private"));
    const list = el("ul", {});
    for (const entry of torrent.files.slice(0, SHOWN)) list.append(el("li", {}, el("bdi", {}, entry.path), el("span", { class: "nowrap muted" }, bytesText(entry.size))));
    if (torrent.files.length > SHOWN) list.append(el("li", {}, `and ${counted(torrent.files.length - SHOWN, "more file", "more files")}`));
    item.append(el("p", { class: "muted small" }, el("bdi", {}, torrent.name), ` · ${counted(torrent.files.length, "file", "files")} · ${bytesText(torrent.total)}`),
      el("details", { class: "small" }, el("summary", {}, "Files"), list));
  } catch (error) {
    head.append(el("span", { class: "badge error" }, "not readable"));
    item.append(el("p", { class: "muted small" }, `This does not look like a .torrent file: ${error.message}.`));
  }
  return item;
}
function bindDrop(drop) {
  const input = $("input", drop), out = $(".picked", drop);
  let turn = 0;
  input.addEventListener("change", async () => {
    const mine = ++turn, items = [];
    const most = Number(drop.dataset.maxFiles), files = [...input.files];
    for (const file of files.slice(0, most)) items.push(await describe(file, Number(drop.dataset.maxBytes)));
    if (files.length > most) items.push(el("li", { class: "error" }, `At most ${counted(most, "file", "files")} at once: ${counted(files.length, "was", "were")} chosen.`));
    if (mine !== turn) return;
    out.replaceChildren(...items);
    out.hidden = !items.length;
  });
  for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change"));
  });
}

// ---- progress: worth showing only for uploads that take a moment. The page that answers is shown as it came: asking
// for it a second time would lose what is said only once.
function bindUpload(form) {
  form.addEventListener("submit", (event) => {
    const total = [...($("input[type=file]", form).files ?? [])].reduce((sum, file) => sum + file.size, 0);
    if (event.submitter?.name === "preview" || total < 262144) return;
    event.preventDefault();
    const bar = $("progress", form), button = event.submitter, request = new XMLHttpRequest();
    const again = (why) => { bar.hidden = true; if (button) button.disabled = false; say(why); };
    request.upload.addEventListener("progress", (sent) => { if (sent.lengthComputable) bar.value = 100 * sent.loaded / sent.total; });
    request.addEventListener("load", () => {
      const page = new DOMParser().parseFromString(request.responseText, "text/html"), main = $("main", page);
      if (!main) { again("The answer could not be read. Look at the catalogue before you try again."); return; }
      if (request.responseURL && request.responseURL !== location.href) { history.pushState(null, "", request.responseURL); shownPath = location.pathname; }
      document.title = page.title;
      $("main").replaceWith(main);
      bind(main);
      scrollTo(0, 0);
      if (!$("[data-focus]", main)) main.focus({ preventScroll: true });
    });
    request.addEventListener("error", () => { again("The connection broke; look at the catalogue before you try again."); });
    request.open("POST", form.action);
    bar.hidden = false;
    if (button) button.disabled = true;
    say("Uploading");
    request.send(new FormData(form));
  });
}
// Going back from a page shown this way; a jump within the page fires the same event and is left alone.
let shownPath = location.pathname;
addEventListener("popstate", () => { if (location.pathname !== shownPath) location.reload(); });

function bind(from) {
  bindTimes(from);
  $$("[data-preview]", from).forEach(bindPreview);
  $$("[data-drop]", from).forEach(bindDrop);
  $$("[data-upload]", from).forEach(bindUpload);
  $("[data-focus]", from)?.focus();
}
bind(document);
})();
