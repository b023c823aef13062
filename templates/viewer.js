// A closer look: any picture large, down to single pixels and the numbers behind them; maps over photos as one likes.

// What the address says of the view: `c=778&i=chelsea`, or `look=side&m=chelsea-gradcam-layercam`.
const said = (hash = location.hash) => new URLSearchParams(/=/.test(hash) ? hash.slice(1) : "");

function say(words, isWalk) {
  const all = said();
  for (const name in words) words[name] ? all.set(name, words[name]) : all.delete(name);
  remember("#" + all, isWalk);
}

function button(text, act) {
  const made = element("button", { type: "button" }, text);
  on(made, "click", act);
  return made;
}

// How maps are shown. All controls of a choice agree; the address wins over what is remembered.
function views() {
  function choose(name, value) {
    for (const one of [root, ...$$(`[data-${name}]`)]) one.dataset[name] = value;
    root.style.setProperty("--" + name, value / 100);
    for (const input of $$(`[data-view=${name}]`)) {
      input.checked = input.value === value;
      if (input.type !== "radio") input.value = value;
    }
    dispatchEvent(new Event("view"));
  }
  function read() {
    for (const name of ["look", "opacity", "tint", "colour", "scale"]) {
      const value = said().get(name) || kept(name);
      if (value) choose(name, value);
    }
  }
  on(document, "input", ({ target: { value, dataset: { view } } }) => {
    if (!view) return;
    choose(view, value);
    say({ [view]: value }, true);
    keep(view, value);
  });
  for (const map of $$("[data-gain]")) map.style.setProperty("--gain", map.dataset.gain);
  on(window, "hashchange", read);
  read();
}

// What a pixel holds, in words, as a function of its column and row. The numbers of a page are loaded once.
let loading;
async function reader({ file, tile = 0, range }, width, height) {
  const script = element("script", { src: $("#closer").dataset.values });
  await (loading ??= new Promise((done) => { on(script, "load error", done); document.head.append(script); }));
  const { axes, [file]: found = {} } = window.pictureValues || {};
  const { cells, tiles, error, note = "" } = found;
  if (cells) return (x, y) => {
    const some = cells.slice(...axes[found.axes[0]][y]).flatMap((row) => row.slice(...axes[found.axes[1]][x]));
    return number(some.reduce((sum, one) => sum + one) / some.length) + note;
  };
  if (tiles) tile = tiles.indexOf(tile);
  if (tile < 0 || !error) return () => "no number is kept" + (tiles ? `, only those of the ${tiles.length} strongest` : "");
  if (!found.bytes) {
    const packed = Uint8Array.from(atob(found.levels), (letter) => letter.charCodeAt());
    found.bytes = new Uint8Array(await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer());
  }
  const [low, high] = range || found.range;
  const step = (high - low) / 254;
  const ten = 10 ** Math.max(0, Math.ceil(-Math.log10(step * error || 1)));
  const shown = (value) => number(value / ten);
  return (x, y) => `${shown(Math.round((low + found.bytes[(tile * height + y) * width + x] * step) * ten))} ± ${shown(Math.ceil(step * error * ten + 0.5))}${note}`;
}

// Pictures to look at closely. Those in links have a button after their list.
const PICTURES = ".photo img, .strip img, .over, .drawing, .maps img, .cams > li > svg, .nines svg";
let look, lookAtUnit;

function lightbox() {
  const dialog = $("#closer");
  if (!dialog) return;
  const [title, stage, sheet, cursor, output] = ["h2", ".stage", ".sheet", ".cursor", "output"].map((name) => $(name, dialog));
  let items, at, leaves, width, height, read, zoom, x = 0, y = 0;
  const boxOf = (node) => node.getBoundingClientRect();

  // `given(index)` is what to show: a drawing, its name, and where its numbers are.
  look = (given, index) => {
    items = given;
    zoom = 1;
    dialog.showModal();
    turn(index, false);
    stage.focus();
  };

  async function turn(index, isWalk = true) {
    const item = items(index);
    if (!item) return;
    at = index;
    sheet.replaceChildren(item.drawing, cursor);
    leaves = $$("img, svg", sheet);
    const size = (name) => leaves[0].getAttribute(name);
    [width, height] = size("viewBox")?.split(" ").slice(2) || [size("width"), size("height")];
    title.textContent = item.name;
    say({ m: item.mark }, isWalk);
    read = () => "";
    magnify(1);
    const found = await reader(item, width, height);
    if (at !== index) return;
    read = found;
    point(x, y);
  }

  function magnify(times) {
    const wide = width * (sheet.firstChild.dataset.look === "side" ? 2 : 1);
    const fit = Math.min(stage.clientWidth, stage.clientHeight * wide / height);
    zoom = Math.max(1, Math.min(zoom * times, 64 * wide / fit));
    sheet.style.width = fit * zoom + "px";
    point(x, y, "center");
  }

  function point(column, row, block) {
    const inside = (place, most) => Math.max(0, Math.min(most - 1, Math.floor(place)));
    x = inside(column, width);
    y = inside(row, height);
    const box = boxOf(leaves.at(-1));
    const [across, down] = [box.width / width, box.height / height];
    const sides = { left: box.left - boxOf(sheet).left + x * across, top: y * down, width: across, height: down };
    for (const side in sides) cursor.style[side] = sides[side] + "px";
    if (block) cursor.scrollIntoView({ block, inline: block });
    output.textContent = `x ${x}, y ${y}: ${read(x, y)}`;
  }

  const step = (right, down) => () => point(x + right, y + down, "nearest");
  const acts = {
    "[": () => turn(at - 1), "]": () => turn(at + 1), "-": () => magnify(0.5), "+": () => magnify(2), x: () => dialog.close(),
    ArrowLeft: step(-1, 0), ArrowRight: step(1, 0), ArrowUp: step(0, -1), ArrowDown: step(0, 1),
  };
  on(dialog, "click keydown", (event) => {
    const { key, view } = event.target.dataset;
    const act = acts[event.key || key];
    if (!act || view) return;
    event.preventDefault();
    act();
  });
  on(dialog, "close", () => said().get("m") && say({ m: "" }, true));
  on(stage, "pointermove click", ({ clientX, clientY, buttons, pointerType, movementX, movementY }) => {
    if (buttons && pointerType === "mouse") stage.scrollBy(-movementX, -movementY);
    const box = leaves.map(boxOf).find((one) => clientX < one.right);
    if (box) point((clientX - box.left) / box.width * width, (clientY - box.top) / box.height * height);
  });
  on(window, "view", () => dialog.open && turn(at));

  function plain(picture) {
    const drawing = (picture.closest(".tinted") || picture).cloneNode(true);
    const file = [...drawing.outerHTML.matchAll(/(?:src|href)="(?:[^"]*\/)?([^"]+)\.\w+"/g)].pop()?.[1];
    const name = [drawing, ...$$("img", drawing)].map((one) => one.alt || one.ariaLabel).find(Boolean) || picture.closest("[title]")?.title;
    return { drawing, file, name, mark: file?.replace(/-(overlay|[0-9a-f]{8})$/, "") };
  }

  function open(picture) {
    const all = $$(PICTURES, picture.closest("li[id], section"));
    look((index) => all[index] && plain(all[index]), all.indexOf(picture));
  }

  for (const picture of $$(PICTURES)) {
    if (picture.closest("a, .nines")) continue;
    const frame = button("", () => open(picture));
    picture.replaceWith(frame);
    frame.append(picture);
  }
  for (const list of $$(".maps, .nines")) list.after(button("Look closer", () => open($(PICTURES, list))));

  function follow() {
    const mark = said().get("m");
    const picture = mark && $$(PICTURES).find((one) => plain(one).mark === mark);
    if (!mark) dialog.close();
    else if (!dialog.open) picture ? open(picture) : lookAtUnit?.();
  }
  on(window, "hashchange", follow);
  follow();
}


