// Adds to pages that are whole without it: theme, keys, search, sorting, filters, copying.
"use strict";

const root = document.documentElement;
root.classList.add("js");

// What was chosen holds on every page, or on this one alone where a window may keep nothing.
let store = {};
try { store = localStorage; } catch { /* forbidden */ }
const kept = (name) => store["reportgen-" + name];
const keep = (name, value) => { store["reportgen-" + name] = value; };
// Before the first paint, so that no page flashes in the other theme.
if (kept("theme")) root.dataset.theme = kept("theme");

const $ = (selector, scope = document) => scope.querySelector(selector);
const $$ = (selector, scope = document) => [...scope.querySelectorAll(selector)];
const on = (target, events, act) => events.split(" ").forEach((event) => target.addEventListener(event, act));

function element(name, attributes = {}, ...children) {
  const kind = /^(svg|image|rect)$/.test(name) ? "2000/svg" : "1999/xhtml";
  const made = document.createElementNS("http://www.w3.org/" + kind, name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  made.append(...children);
  return made;
}

const DIGITS = "-0123456789";
const RAISED = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹";

// As the pages write numbers: at most four significant digits, a true minus, powers of ten.
function number(value) {
  if (value == null || !isFinite(value)) return "not finite";
  if (value === 0) return "0";
  const [mantissa, power] = value.toExponential(3).split("e");
  const text = power < -4 || power >= 7
    ? `${+mantissa} × 10${[...String(+power)].map((c) => RAISED[DIGITS.indexOf(c)]).join("")}`
    : Number(value.toPrecision(4)).toLocaleString("en-US", { maximumFractionDigits: 10 });
  return text.replace("-", "−");
}

// A new address. Back undoes each choice by itself, and a walk by arrow keys as a whole.
function remember(hash, isWalk) {
  const isSame = hash === location.hash || (isWalk && history.state === "walk");
  history[isSame ? "replaceState" : "pushState"](isWalk ? "walk" : null, "", hash);
}

function switchTheme() {
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = (root.dataset.theme || (isDark ? "dark" : "light")) === "dark" ? "light" : "dark";
  keep("theme", root.dataset.theme);
}

// The number that a cell shows, or its text: "−1.2 × 10⁻⁵", "< 0.01 %", "1,024".
function sortValue(cell) {
  const text = cell ? cell.textContent.trim() : "";
  const plain = text
    .replace(/ × 10(.+)$/, (_, power) => "e" + [...power].map((c) => DIGITS[RAISED.indexOf(c)]).join(""))
    .replace(/−/g, "-").replace(/,(?=\d{3})/g, "").replace(/^[<>] /, "").replace(/ %$/, "").replace("∞", "Infinity");
  return plain === "" || isNaN(plain) ? text : +plain;
}

function sorting() {
  for (const table of $$("table.sortable")) {
    const body = table.tBodies[0];
    $$("thead th", table).forEach((head, column) => {
      const button = element("button", { type: "button" }, ...head.childNodes);
      head.append(button);
      on(button, "click", () => {
        const rows = [...body.rows].map((row) => [sortValue(row.cells[column]), row]);
        const isNumeric = ([value]) => typeof value === "number";
        const isFalling = head.ariaSort ? head.ariaSort !== "descending" : rows.some(isNumeric);
        // Numbers first, either way.
        rows.sort((a, b) => isNumeric(b) - isNumeric(a)
          || (isFalling ? -1 : 1) * (isNumeric(a) ? a[0] - b[0] : a[0].localeCompare(b[0], "en", { numeric: true })));
        $$("thead th", table).forEach((other) => { other.ariaSort = null; });
        head.ariaSort = isFalling ? "descending" : "ascending";
        body.append(...rows.map(([, row]) => row));
      });
    });
  }
}

// Hides the items that lack one of the words, and tells how many are left.
function filter(input, items, told) {
  on(input, "input", () => {
    const words = input.value.toLowerCase().split(/\s+/);
    for (const item of items) {
      const link = $("a", item);
      const text = (item.textContent + (link ? ` ${link.title} ${link.getAttribute("href")}` : "")).toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
    }
    told(items.filter((item) => !item.hidden).length);
  });
}

function filtering() {
  const tree = $(".tree");
  if (tree) {
    filter($("input", tree), $$("li:not(:has(details))", tree), () => $$("details", tree).forEach((group) => { group.open = true; }));
    const here = $("[aria-current]", tree);
    if (here) tree.scrollTop = here.offsetTop - tree.offsetTop - tree.clientHeight / 3;
  }
  for (const frame of $$(".table, .layer-cards")) {
    const items = $$("tbody tr, li", frame);
    if (items.length < 12) continue;
    const left = element("output");
    const input = element("input", { type: "search", placeholder: "Filter", "aria-label": "Filter: " + (frame.ariaLabel || "layers") });
    frame.before(element("div", { class: "controls" }, input, left));
    filter(input, items, (count) => { left.textContent = input.value && `${count} of ${items.length}`; });
  }
}

function copying() {
  for (const button of $$("[data-copy]")) on(button, "click", async () => {
    const source = $("#" + button.dataset.copy);
    getSelection().selectAllChildren(source);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Press Ctrl-C";
    }
  });
}

// The list at hand: findings, images and layers of the page, else the tree, else the rows of its tables.
function walk(step) {
  const lists = [".findings a, .card h3 a, .layer-cards a", ".tree a", "tbody th a"];
  const list = lists.map((links) => $$(links).filter((link) => link.checkVisibility())).find((links) => links.length) || [];
  const at = list.indexOf(document.activeElement);
  list[(at < 0 ? list.findIndex((link) => link.ariaCurrent) : at) + step]?.focus();
}

function keys() {
  const open = (name) => $("#" + name).showModal();
  const turn = (where) => $(`a[rel=${where}]`)?.click();
  const actions = {
    "/": () => open("search"), "?": () => open("help"), t: switchTheme,
    j: () => walk(1), k: () => walk(-1), "[": () => turn("prev"), "]": () => turn("next"),
  };
  on($("#theme"), "click", switchTheme);
  $$("[data-opens]").forEach((button) => on(button, "click", () => open(button.dataset.opens)));
  on(document, "keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]")) return;
    const isTyping = event.target.closest("input:not([type=radio], [type=range]), select, textarea");
    if (isTyping && event.key === "Escape") event.target.blur();
    const action = actions[event.key];
    if (isTyping || !action) return;
    event.preventDefault();
    action();
  });
}

// What the words of a query lead to, the best first. Words that a name lacks are looked for among what
// is said of it, its sections and its units: "features.3 12", "features.3 kernels", "features.3 dead".
function matches(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const isNumber = (word) => /^\d+$/.test(word);
  // A number is a whole number: 1 is not in expand1x1.
  const has = (text, word) => (isNumber(word) ? RegExp(`\\b${word}\\b`).test(text) : text.includes(word));
  const before = words.slice(0, -1);
  const found = [];
  for (const [about, name, href, units, named = [], sections = []] of searchIndex.rows) {
    const plain = name.toLowerCase();
    const left = words.filter((word) => !has(plain, word));
    const isNamed = left.length < words.length;
    const isIn = (text) => left.every((word) => has(text.toLowerCase(), word));
    const rank = (start) => (plain === start ? 0 : plain.startsWith(start) ? 2 : 3);
    const add = (order, note, more = "", place = "") => found.push([order, name + more, href + place, note]);
    const unit = (order, index, note) => add(order, note, `, unit ${index}`, `#c=${index}`);
    if (!left.length) add(rank(words.join(" ")), about);
    else if (isIn(about)) add(7, about);
    if (before.length && isNumber(words.at(-1)) && +words.at(-1) < units && before.every((word) => has(plain, word))) unit(rank(before.join(" ")) + 1.5, +words.at(-1), "Unit");
    if (!left.length) continue;
    for (const section of sections) {
      const title = searchIndex.titles[section];
      if (isNamed && isIn(title)) add(5, "Section", ": " + title, "#" + section);
    }
    for (const [note, indices] of named) if (isIn("unit " + note)) indices.forEach((index) => unit(isNamed ? 5 : 8, index, note));
  }
  return found.sort((a, b) => a[0] - b[0]);
}

function searching() {
  const box = $("#search");
  const [input, list, status] = ["input", "ol", "output"].map((name) => $(name, box));
  const path = box.dataset.index;
  let script;
  const show = () => {
    const isAsked = input.value.trim() && window.searchIndex;
    const found = isAsked ? matches(input.value) : [];
    list.replaceChildren(...found.slice(0, 40).map(([, text, place, note]) =>
      element("li", {}, element("a", { href: path.replace("data/search.js", place) }, text, element("small", {}, note)))));
    status.textContent = isAsked ? `${number(found.length)} found${found.length > 40 ? ", the first 40 shown" : ""}` : "";
  };
  on(input, "input", show);
  // Pages opened from a disk may not fetch: the index is a script, read when it is first needed.
  on(input, "focus", () => {
    if (script || window.searchIndex) return;
    script = element("script", { src: path });
    on(script, "load", show);
    document.head.append(script);
  });
  on(box, "keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const places = [input, ...$$("a", list)];
    const at = places.indexOf(document.activeElement);
    if (event.key === "Enter" && !at) places[1]?.click();
    if (!step) return;
    event.preventDefault();
    (places[at + step] || input).focus();
  });
  on(list, "click", () => box.close());
}

on(document, "DOMContentLoaded", () => {
  for (const start of [sorting, filtering, copying, keys, searching, layerPage, views, lightbox]) start();
});
