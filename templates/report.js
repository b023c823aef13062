// Adds to pages that are whole without it: theme, sorting, filters, copying, and a closer look at maps.
"use strict";

const root = document.documentElement;
root.classList.add("js");

const store = {
  get(key) { try { return localStorage.getItem("reportgen-" + key); } catch { return null; } },
  set(key, value) { try { localStorage.setItem("reportgen-" + key, value); } catch { /* private window */ } },
};
// Before the first paint, so that no page flashes in the other theme.
if (store.get("theme")) root.dataset.theme = store.get("theme");

const $ = (selector, scope = document) => scope.querySelector(selector);
const $$ = (selector, scope = document) => [...scope.querySelectorAll(selector)];

function element(name, attributes = {}, ...children) {
  const isSvg = ["svg", "image", "rect", "g"].includes(name);
  const made = isSvg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// As the pages write numbers: at most four significant digits, a true minus, powers of ten.
function number(value) {
  if (value === null || value === undefined || !isFinite(value)) return "not finite";
  if (value === 0) return "0";
  const [mantissa, power] = value.toExponential(3).split("e");
  const raised = [...String(+power)].map((c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]).join("");
  const text = power < -4 || power >= 7
    ? `${+mantissa} × 10${raised}`
    : Number(value.toPrecision(4)).toLocaleString("en-US", { maximumFractionDigits: 10 });
  return text.replace("-", "−");
}

function theme() {
  $("#theme").addEventListener("click", () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    store.set("theme", root.dataset.theme);
  });
}

// The number that a cell shows, or its text: "−1.2 × 10⁻⁵", "< 0.01 %", "1,024".
function sortValue(cell) {
  const text = cell ? cell.textContent.trim() : "";
  const plain = text
    .replace(/ × 10(.+)$/, (_, power) => "e" + [...power].map((c) => "-0123456789"["⁻⁰¹²³⁴⁵⁶⁷⁸⁹".indexOf(c)]).join(""))
    .replace(/−/g, "-").replace(/,(?=\d{3})/g, "").replace(/^[<>] /, "").replace(/ %$/, "").replace("∞", "Infinity");
  return plain === "" || isNaN(plain) ? text : Number(plain);
}

function sorting() {
  for (const table of $$("table.sortable")) {
    const body = table.tBodies[0];
    $$("thead th", table).forEach((head, column) => {
      const button = element("button", { type: "button" }, ...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const rows = [...body.rows].map((row) => [sortValue(row.cells[column]), row]);
        const isNumeric = rows.some(([value]) => typeof value === "number");
        const old = head.getAttribute("aria-sort");
        const order = old ? (old === "descending" ? "ascending" : "descending") : isNumeric ? "descending" : "ascending";
        const sign = order === "ascending" ? 1 : -1;
        rows.sort(([a], [b]) => {
          if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
          return sign * (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
        });
        $$("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", order);
        body.append(...rows.map(([, row]) => row));
      });
    });
  }
}

function filtering() {
  const watch = (input, items) => input && input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/);
    for (const item of $$(items)) {
      const link = $("a", item);
      const text = (item.textContent + " " + link.title + " " + link.getAttribute("href")).toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
    }
    if (input.value) $$(".tree details").forEach((group) => { group.open = true; });
  });
  watch($("#tree-filter"), ".tree li:not(:has(details))");
  watch($("#card-filter"), ".layer-cards li");
  const here = $(".tree [aria-current]");
  const tree = $(".tree");
  if (here && tree.scrollHeight > tree.clientHeight) tree.scrollTop = here.offsetTop - tree.clientHeight / 3;
}

function copying() {
  for (const button of $$("[data-copy]")) {
    button.addEventListener("click", () => copy($("#" + button.dataset.copy).textContent, button));
  }
}

async function copy(text, button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Press Ctrl-C";
    const range = document.createRange();
    const source = $("pre", button.parentElement);
    if (source) { range.selectNodeContents(source); getSelection().removeAllRanges(); getSelection().addRange(range); }
  }
  setTimeout(() => { button.textContent = label; }, 1500);
}

function keys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const filter = $("#tree-filter") || $("#card-filter");
    const link = { "[": "a[rel=prev]", "]": "a[rel=next]" }[event.key];
    if (event.key === "/" && filter) { event.preventDefault(); filter.focus(); }
    if (link && $(link)) location.assign($(link).href);
  });
}

document.addEventListener("DOMContentLoaded", () => {
  for (const start of [theme, sorting, filtering, copying, keys, layerPage]) start();
});
window.addEventListener("beforeprint", () => $$("details").forEach((part) => { part.open = true; }));
