// A closer look: any picture large, down to single pixels and the numbers behind them; maps over photos as one likes.

// What the address says of the view: `c=778&i=chelsea`, or `look=side&m=chelsea-gradcam-layercam`.
const said = () => new URLSearchParams(/=/.test(location.hash) ? location.hash.slice(1) : "");

function say(words, isStep) {
  const all = said();
  for (const name in words) if (words[name]) all.set(name, words[name]); else all.delete(name);
  history[isStep ? "pushState" : "replaceState"](null, "", "#" + all);
}

function button(text, act) {
  const made = element("button", { type: "button" }, text);
  made.addEventListener("click", act);
  return made;
}

// How maps are shown. All controls of a choice agree; the address wins over what is remembered.
function views() {
  const inputs = $$("[data-view]");
  function choose(name, value) {
    root.dataset[name] = value;
    root.style.setProperty("--" + name, value / 100);
    for (const input of inputs.filter((one) => one.dataset.view === name)) {
      input.checked = input.value === value;
      if (input.type !== "radio") input.value = value;
    }
    dispatchEvent(new Event("view"));
  }
  function read() {
    for (const { dataset: { view } } of inputs) {
      const value = said().get(view) || store.get(view);
      if (value) choose(view, value);
    }
  }
  document.addEventListener("input", ({ target: { value, dataset: { view } } }) => {
    if (!view) return;
    store.set(view, value);
    say({ [view]: value });
    choose(view, value);
  });
  $$("[data-gain]").forEach((map) => map.style.setProperty("--gain", map.dataset.gain));
  addEventListener("hashchange", read);
  read();
}

// What a pixel holds, in words, as a function of its column and row. The numbers of a page's pictures are loaded once.
let numbers;
async function reader({ file, tile = 0, range }, width, height) {
  const script = element("script", { src: $("#closer").dataset.values });
  await (numbers ??= new Promise((done) => { script.onload = script.onerror = done; document.head.append(script); }));
  const { axes, [file]: found } = window.pictureValues || {};
  if (!found) return () => "";
  const note = found.note || "";
  if (found.cells) return (x, y) => {
    const some = found.cells.slice(...axes[found.axes[0]][y]).flatMap((row) => row.slice(...axes[found.axes[1]][x]));
    return number(some.reduce((sum, one) => sum + one, 0) / some.length) + note.replace("#", some.length);
  };
  if (found.tiles) tile = found.tiles.indexOf(tile);
  if (tile < 0) return () => `no number: they are kept of the ${found.tiles.length} strongest maps`;
  if (!found.bytes) {
    const packed = Uint8Array.from(atob(found.levels), (letter) => letter.charCodeAt());
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    found.bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  }
  const [low, high] = range || found.range;
  const step = (high - low) / 254;
  // Levels are rounded, and so are the ends of their scale.
  const error = step && step * found.error + 5e-6 * Math.max(-low, high);
  const places = error && Math.max(0, Math.ceil(-Math.log10(error)));
  return (x, y) => {
    const from = ((tile * height + y) * width + x) * found.depth;
    const texts = [...found.bytes.slice(from, from + found.depth)].map((level) => (low + level * step).toFixed(places).replace("-", "−") +
      (!found.clipped ? "" : level > 253 ? " or more" : level < 1 && low < 0 ? " or less" : ""));
    return `${texts.join(", ")} ± ${Math.ceil(error * 10 ** places + 0.5) / 10 ** places}${note}`;
  };
}

// Pictures to look at closely. Those in links have a button after their list.
const PICTURES = ".photo img, .strip img, .over, .drawing, .maps img, .cams > li > svg, .nines svg";
let look, lookAtUnit;

function lightbox() {
  const dialog = $("#closer");
  if (!dialog) return;
  const [title, stage, sheet, cursor, output] = ["h2", ".stage", ".sheet", ".cursor", "output"].map((name) => $(name, dialog));
  let items, at, leaves, width, height, read, zoom, x = 0, y = 0;

  // `given(index)` is what to show: a drawing, its name, and where its numbers are.
  look = (given, index, isStep = true) => {
    items = given;
    zoom = 1;
    dialog.showModal();
    turn(index, isStep);
    stage.focus();
  };

  async function turn(index, isStep) {
    const item = items(index);
    if (!item) return;
    at = index;
    sheet.replaceChildren(item.drawing, cursor);
    leaves = $$("img, svg", sheet);
    [width, height] = (leaves[0].getAttribute("viewBox") || `0 0 ${leaves[0].getAttribute("width")} ${leaves[0].getAttribute("height")}`).split(" ").slice(2);
    title.textContent = item.name;
    say({ m: item.mark }, isStep);
    read = () => "";
    magnify(zoom);
    read = await reader(item, width, height);
    point(x, y);
  }

  function magnify(wanted) {
    const wide = width * (root.dataset.look === "side" && leaves[1] ? 2 : 1);
    const fit = Math.min(stage.clientWidth, stage.clientHeight * wide / height);
    zoom = Math.max(1, Math.min(wanted, 64 * wide / fit));
    sheet.style.width = fit * zoom + "px";
    point(x, y, "center");
  }

  function point(column, row, block) {
    const inside = (place, most) => Math.max(0, Math.min(most - 1, Math.floor(place)));
    x = inside(column, width);
    y = inside(row, height);
    const [box, frame] = [leaves.at(-1), sheet].map((one) => one.getBoundingClientRect());
    Object.assign(cursor.style, {
      left: box.left - frame.left + x * box.width / width + "px", top: y * box.height / height + "px",
      width: box.width / width + "px", height: box.height / height + "px",
    });
    if (block) cursor.scrollIntoView({ block, inline: block });
    output.textContent = `x ${x}, y ${y}: ${read(x, y)}`;
  }

  const acts = {
    "[": () => turn(at - 1), "]": () => turn(at + 1), "-": () => magnify(zoom / 2), "+": () => magnify(zoom * 2), x: () => dialog.close(),
  };
  for (const [key, [right, down]] of Object.entries({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] })) {
    acts[key] = () => point(x + right, y + down, "nearest");
  }
  dialog.addEventListener("click", ({ target: { dataset: { key } } }) => key && acts[key]());
  dialog.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (!acts[event.key] || event.target.dataset.view) return;
    event.preventDefault();
    acts[event.key]();
  });
  dialog.addEventListener("close", () => said().get("m") && say({ m: "" }));
  for (const name of ["pointermove", "click"]) stage.addEventListener(name, (event) => {
    if (event.buttons && event.pointerType === "mouse") stage.scrollBy(-event.movementX, -event.movementY);
    const box = leaves.map((leaf) => leaf.getBoundingClientRect()).find((one) => event.clientX < one.right);
    if (box) point((event.clientX - box.left) / box.width * width, (event.clientY - box.top) / box.height * height);
  });
  addEventListener("view", () => dialog.open && turn(at));

  function plain(picture) {
    const drawing = (picture.closest(".tinted") || picture).cloneNode(true);
    const file = ([...drawing.outerHTML.matchAll(/(?:src|href)="(?:[^"]*\/)?([^"]+)\.\w+"/g)].pop() || [])[1];
    const name = [drawing, ...$$("img", drawing)].map((one) => one.alt || one.ariaLabel).find(Boolean) || picture.closest("[title]")?.title;
    return { drawing, file, name, mark: file?.replace(/-(overlay|[0-9a-f]{8})$/, "") };
  }

  function open(picture, isStep) {
    const all = $$(PICTURES, picture.closest("li[id], section"));
    look((index) => all[index] && plain(all[index]), all.indexOf(picture), isStep);
  }

  for (const picture of $$(`main :is(${PICTURES})`)) {
    if (picture.closest("a, .nines")) continue;
    const frame = button("", () => open(picture));
    picture.replaceWith(frame);
    frame.append(picture);
  }
  $$(".maps, .nines").forEach((list) => list.after(button("Look closer", () => open($(PICTURES, list)))));

  function follow() {
    const mark = said().get("m");
    const picture = mark && $$(PICTURES).find((one) => plain(one).mark === mark);
    if (!mark) dialog.close();
    else if (dialog.open) return;
    else if (picture) open(picture, false);
    else if (lookAtUnit) lookAtUnit(false);
  }
  addEventListener("hashchange", follow);
  follow();
}

document.addEventListener("DOMContentLoaded", () => { views(); lightbox(); });
