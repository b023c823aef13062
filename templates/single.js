// A report in one file: shows the page that the address names (`?layers/conv1.html#c=3`) from what the
// file holds. The script of the site stands below as `site`; it runs anew for each page.
"use strict";

const OVERVIEW = "index.html";
const pictures = new Map();
const addresses = new Map();
const scripts = new Map();
let contents;
let overview;
let shown;
let given = [];
let starts = [];
let listeners = new AbortController();

const listen = (target, kind, heard, options) => EventTarget.prototype.addEventListener.call(target, kind, heard, options);

// What a page listens to ends with it, and what waits for its document starts when it is shown.
for (const target of [window, document]) {
  target.addEventListener = (kind, heard, options) => {
    if (kind === "DOMContentLoaded") starts.push(heard);
    else listen(target, kind, heard, { capture: options === true, ...Object(options), signal: listeners.signal });
  };
}

// What the site's script takes for `location`: its pages are no files.
const address = {
  get hash() { return location.hash; },
  set hash(place) { location.hash = place; },
  get href() { return location.href; },
  set href(to) { go(to); },
  assign: (to) => go(to),
};

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

async function unpacked(text) {
  const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

// A picture is decoded when a page with it is shown, and once. Its address ends as its file's would.
function picture(path, same) {
  const first = same[path] || path;
  if (!pictures.has(first)) return null;
  if (!addresses.has(first)) {
    const kind = first.endsWith("svg") ? "svg+xml" : first.split(".").pop();
    addresses.set(first, URL.createObjectURL(new Blob([bytes(pictures.get(first)())], { type: `image/${kind}` })));
  }
  return `${addresses.get(first)}#/${path}`;
}

// Those of the overview stand in it, or in the style as the ground of an empty one.
function held(node) {
  const text = node.matches("[class*=ground-]") ? getComputedStyle(node).backgroundImage
    : node.getAttribute("href") || node.getAttribute("src");
  return text.slice(text.indexOf(",") + 1).replace(/"?\)$/, "");
}

function bodyOf(path, text, same) {
  const isOpen = path === OVERVIEW && shown === undefined;
  const body = isOpen ? document.body
    : path === OVERVIEW ? overview.cloneNode(true) : new DOMParser().parseFromString(text, "text/html").body;
  for (const [kind, name] of [["img", "src"], ["image", "href"]]) {
    for (const node of body.querySelectorAll(kind)) {
      const url = picture(node.dataset.file || node.getAttribute(name), same);
      if (url) node.setAttribute(name, url);
    }
  }
  return body;
}

// `window.name = value;` of a data script, whose code a page with this policy may not run.
function give(path, data) {
  if (!scripts.has(path)) {
    const [, name, value] = /^window\.(\w+) = (.*);\s*$/s.exec(data[path]);
    scripts.set(path, [name, JSON.parse(value)]);
  }
  const [name, value] = scripts.get(path);
  window[name] = value;
  given.push(name);
}

// Such scripts that a page asks for later.
document.head.append = (script) => contents.then(({ data }) => {
  give(placed(script.getAttribute("src")).pathname.slice(1), data);
  script.dispatchEvent(new Event("load"));
});

// An address that is relative to the page shown.
const placed = (address) => new URL(address, `file:///${shown}`);

async function show(isNew) {
  const { pages, data, same } = await contents;
  const wanted = location.search.slice(1);
  const path = Object.hasOwn(pages, wanted) ? wanted : OVERVIEW;
  if (path !== shown) {
    listeners.abort();
    listeners = new AbortController();
    starts = [];
    for (const name of given) delete window[name];
    given = [];
    for (const script of pages[path].scripts) give(script, data);
    document.title = pages[path].title;
    const body = bodyOf(path, pages[path].body, same);
    if (body !== document.body) document.body.replaceWith(body);
    document.documentElement.classList.remove("opening");
    if (isNew) scrollTo({ top: 0, behavior: "instant" });
    shown = path;
    site(address);
    for (const start of starts) start();
    const head = document.querySelector("h1");
    head.tabIndex = -1;
    if (isNew) head.focus({ preventScroll: true });
  }
  // Anchors are found, and marked, only by a move of the browser's own.
  if (isNew && location.hash) location.replace(location.href);
}

function go(to) {
  const url = new URL(to, location.href);
  try {
    history.pushState(null, "", url);
  } catch {
    // Some frames allow their pages no address of their own.
    location.assign(url);
    return;
  }
  show(true);
}

async function save(path) {
  const { data } = await contents;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([data[path]], { type: "text/csv" }));
  link.download = path.split("/").pop();
  link.click();
}

// Links that a script made point into the folder of a site; those of pages were turned before.
function turned(event) {
  const link = event.target.closest && event.target.closest("a[href]");
  const to = link && link.getAttribute("href");
  if (to && !/^([?#]|[a-z]+:)/.test(to)) {
    const url = placed(to);
    link.setAttribute("href", `?${url.pathname.slice(1)}${url.hash}`);
  }
  return link;
}

function followed(event) {
  const link = turned(event);
  const to = link && link.getAttribute("href");
  if (!to || !to.startsWith("?") || event.defaultPrevented) return;
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (to.endsWith(".csv")) save(to.slice(1)); else go(to);
}

// Called when all of this script is known, and the document is not.
function begin() {
  if (location.hash.startsWith("#/")) history.replaceState(null, "", `?${location.hash.slice(2)}`);
  if (location.search.length > 1) document.documentElement.classList.add("opening");
  site(address);
  for (const kind of ["pointerover", "focusin"]) listen(document, kind, turned);
  listen(document, "click", followed);
  listen(window, "popstate", () => show(false));
  listen(document, "DOMContentLoaded", () => {
    contents = unpacked(document.getElementById("pages").textContent);
    for (const node of document.querySelectorAll("script[id]")) {
      pictures.set(node.id, () => node.textContent);
      node.remove();
    }
    for (const node of document.querySelectorAll("[data-file]:is([src], [href])")) {
      const text = held(node);
      pictures.set(node.dataset.file, () => text);
    }
    overview = document.body.cloneNode(true);
    show(location.hash !== "");
  });
}
