// The pages of layers: choose a channel, a colour map, a scale, and see one map large.

// A picture of many tiles: which tile is where, and which channel it shows.
class Atlas {
  constructor(node, data) {
    this.node = node;
    this.columns = +node.dataset.columns;
    this.count = +node.dataset.count;
    this.width = +node.dataset.width;
    this.height = +node.dataset.height;
    this.picture = $("img", node);
    this.low = data.low;
    this.high = data.high;
    this.labels = data.labels;
    this.rows = Math.ceil(this.count / this.columns);
    // The picture has no outer border: it lacks one line that every tile but the last has.
    this.full = [this.columns * (this.width + 1) - 1, this.rows * (this.height + 1) - 1];
    this.cursor = element("div", { class: "cursor", hidden: "" });
    node.append(this.cursor);
    this.tile = 0;
  }

  range(tile) {
    const at = (values) => (Array.isArray(values) ? values[tile] : values);
    return [at(this.low), at(this.high)];
  }

  label(tile) { return this.labels ? this.labels[tile] : String(tile); }

  find(label) { return this.labels ? this.labels.indexOf(label) : +label < this.count ? +label : -1; }

  box(tile) {
    return [(tile % this.columns) * (this.width + 1), Math.floor(tile / this.columns) * (this.height + 1)];
  }

  at(event) {
    const frame = this.node.getBoundingClientRect();
    const column = Math.floor((event.clientX - frame.left) / frame.width * (this.full[0] + 1) / (this.width + 1));
    const row = Math.floor((event.clientY - frame.top) / frame.height * (this.full[1] + 1) / (this.height + 1));
    return row * this.columns + column;
  }

  select(tile) {
    this.tile = tile;
    const [x, y] = this.box(tile);
    const [width, height] = this.full;
    Object.assign(this.cursor.style, {
      left: 100 * x / width + "%", top: 100 * y / height + "%",
      width: 100 * this.width / width + "%", height: 100 * this.height / height + "%",
    });
    this.cursor.hidden = false;
    this.node.ariaValueNow = tile;
  }

  // Arrow keys walk from tile to tile, a click goes to one, Enter and a second click look closer.
  interactive(name, chosen, closer) {
    const tell = (tile, isWalk) => { if (this.has(tile)) chosen(tile, isWalk); };
    Object.assign(this.node, { role: "slider", tabIndex: 0, ariaLabel: name, ariaValueMin: 0, ariaValueMax: this.count - 1, ariaValueNow: 0 });
    on(this.node, "click", (event) => tell(this.at(event)));
    on(this.node, "dblclick", closer);
    on(this.node, "keydown", (event) => {
      if (event.key === "Enter") closer();
      const step = {
        ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns, Home: -this.tile, End: this.count - 1 - this.tile,
      }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      tell(this.tile + step, true);
    });
  }

  has(tile) { return tile >= 0 && tile < this.count; }

  // A tile as something to look at closely.
  item(tile, name, target) {
    const file = this.picture.src.split("/").pop().slice(0, -4);
    return { drawing: this.crop(tile, target), name, file, tile, range: this.range(tile) };
  }

  crop(tile, target) {
    const [x, y] = this.box(tile);
    const made = element("svg", { class: "crop tinted " + this.node.classList[1], viewBox: `${x} ${y} ${this.width} ${this.height}`, "aria-hidden": "true" },
      element("image", { href: this.picture.getAttribute("src"), width: this.full[0], height: this.full[1] }));
    this.veilCrop(made, tile, target);
    return made;
  }

  // The same as `veil` below, for a drawing of one tile.
  veilCrop(drawing, tile, target) {
    $$("rect", drawing).forEach((old) => old.remove());
    if (!target) return;
    const [x, y] = this.box(tile);
    const [grey, alpha] = veiled(...this.range(tile), target);
    drawing.append(element("rect", { x, y, width: this.width, height: this.height, fill: `rgb(${grey} ${grey} ${grey})`, "fill-opacity": alpha / 255 }));
  }

  // Puts every tile on the scale `target(low, high)` by a veil of one pixel a tile over the picture: its
  // opacity shrinks the range of a tile to its share of the scale, its grey lifts it to its place there.
  veil(target) {
    const frame = $(".cut", this.node);
    $$("canvas", frame).forEach((old) => old.remove());
    if (!target) return;
    const canvas = element("canvas", { width: this.columns, height: this.rows, "aria-hidden": "true" });
    canvas.style.width = 100 * (this.full[0] + 1) / this.full[0] + "%";
    canvas.style.height = 100 * (this.full[1] + 1) / this.full[1] + "%";
    const pixels = new ImageData(this.columns, this.rows);
    for (let tile = 0; tile < this.count; tile++) {
      const [grey, alpha] = veiled(...this.range(tile), target);
      pixels.data.set([grey, grey, grey, alpha], 4 * tile);
    }
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    frame.append(canvas);
  }
}

// Grey and opacity that take a tile from its own range to that of the scale.
function veiled(low, high, target) {
  const [bottom, top] = target(low, high);
  const spread = top - bottom;
  if (!(spread > 0)) return [0, 0];
  // Never fully opaque: by their opacity the lines between tiles can be told from tiles.
  const alpha = Math.min(Math.round(255 * (1 - (high - low) / spread)), 254);
  const offset = 254 * (low - bottom) / spread;
  return [Math.min(255, Math.max(0, Math.round(offset / Math.max(alpha / 255, 1 / 255)))), alpha];
}

function layerPage() {
  const data = window.layerData;
  if (!data) return;
  for (const node of $$("[data-atlas^=kernels]")) kernels(new Atlas(node, data.atlases[node.dataset.atlas]), data.kernels);
  const viewer = $("#viewer");
  if (!viewer) return;
  const plates = $$(".plate", viewer);
  const atlases = new Map();
  for (const plate of plates) {
    const node = $("[data-atlas]", plate);
    if (node) atlases.set(plate.dataset.image, new Atlas(node, data.atlases[node.dataset.atlas]));
  }
  const panel = $("#unit");
  const chooser = $("#choose-image");
  const state = { image: plates[0].dataset.image, unit: null };
  const rows = new Map($$("#activations tbody tr").map((row) => [row.cells[0].textContent, row]));
  const closer = button("Look closer", () => lookAtUnit());
  // The page's table holds the first units, the data the others.
  const numbers = (unit) => (rows.has(unit) ? [...rows.get(unit).cells].slice(1).map((item) => item.textContent) : data.rest[unit - data.shown].split("|"));
  const list = (values) => (Array.isArray(values) ? values : [values]);
  const lowest = Math.min(...[...atlases.values()].flatMap((atlas) => list(atlas.low)));
  const highest = Math.max(...[...atlases.values()].flatMap((atlas) => list(atlas.high)));

  function scale() {
    const isShared = root.dataset.scale === "shared";
    const isCentred = root.dataset.colour === "diverging";
    if (!isShared && !isCentred) return null;
    return (low, high) => {
      const [bottom, top] = isShared ? [lowest, highest] : [low, high];
      const limit = Math.max(Math.abs(bottom), Math.abs(top));
      return isCentred ? [-limit, limit] : [bottom, top];
    };
  }

  function show() {
    plates.forEach((plate) => plate.classList.toggle("current", plate.dataset.image === state.image));
    if (chooser) chooser.value = state.image;
    const atlas = atlases.get(state.image);
    if (!atlas) {
      describe(null, -1);
      return;
    }
    const target = scale();
    const tile = atlas.find(state.unit);
    atlas.veil(target);
    atlas.cursor.hidden = true;
    if (tile >= 0) atlas.select(tile);
    atlas.node.ariaValueText = `channel ${state.unit}`;
    for (const link of $$(".current .tops a", viewer)) {
      const unit = said(link.hash).get("c");
      atlas.veilCrop($("svg", link), atlas.find(unit), target);
      link.ariaCurrent = unit === state.unit || null;
    }
    describe(atlas, tile, target);
  }

  function describe(atlas, tile, target) {
    const facts = numbers(state.unit).map((value, index) => [data.columns[index][0], `${value} ${value && data.columns[index][1]}`.trim()]);
    const title = element("h3", {}, atlas ? "Channel " : "Unit ", element("output", { id: "channel" }, state.unit));
    const all = [element("h4", {}, `On ${data.images}`), table(facts), element("a", { href: `#c=${state.unit}&i=${state.image}` }, `Link to this ${atlas ? "channel" : "unit"}`)];
    const card = "#unit-" + state.unit;
    if ($(card)) all.push(" · ", element("a", { href: card }, "Its card"));
    if (tile < 0) {
      const why = atlas ? `No map of it is kept: ${atlas.count} of ${data.count} channels have one.` : "";
      panel.replaceChildren(title, element("p", { class: "quiet" }, why), ...all);
      return;
    }
    const [low, high] = atlas.range(tile);
    const [bottom, top] = target ? target(low, high) : [low, high];
    const ramp = element("div", { class: "ramp" },
      element("svg", { class: "tinted", viewBox: "0 0 254 8", preserveAspectRatio: "none", "aria-hidden": "true" }, element("rect", { width: 254, height: 8, fill: "url(#ramp)" })),
      element("span", {}, number(bottom)), element("span", {}, number(top)));
    panel.replaceChildren(title, atlas.crop(tile, target), ramp, closer, element("h4", {}, "On this image"),
      table([["Lowest", number(low)], ["Highest", number(high)]]), ...all);
  }

  function table(facts) {
    return element("dl", { class: "facts" }, ...facts.filter(([, value]) => value !== "").map(([name, value]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, value))));
  }

  function go(image, unit, isWalk) {
    state.image = image;
    state.unit = unit;
    say({ c: unit, i: image }, isWalk);
    show();
  }

  lookAtUnit = () => {
    const atlas = atlases.get(state.image);
    if (atlas) look((tile) => {
      if (!atlas.has(tile)) return null;
      go(state.image, atlas.label(tile), true);
      return { ...atlas.item(tile, `Channel ${state.unit} of ${atlas.picture.alt.split("; channel ")[0]}`, scale()), mark: "unit" };
    }, atlas.find(state.unit));
  };

  function read() {
    const given = said();
    // Back to where nothing was chosen yet.
    if (!location.hash) Object.assign(state, { image: plates[0].dataset.image, unit: null });
    const anchor = plates.find((plate) => "#" + plate.id === location.hash);
    const wanted = anchor ? anchor.dataset.image : given.get("i");
    if (plates.some((plate) => plate.dataset.image === wanted)) state.image = wanted;
    if (/^\d+$/.test(given.get("c")) && +given.get("c") < data.count) state.unit = given.get("c");
    if (state.unit === null) state.unit = strongest();
    show();
    if (given.has("c")) {
      const frame = viewer.getBoundingClientRect();
      if (frame.bottom < 0 || frame.top > innerHeight / 2) $("#activations").scrollIntoView();
      for (const [unit, row] of rows) {
        row.ariaCurrent = unit === state.unit || null;
      }
    }
  }

  function strongest() {
    const first = $(`[data-image="${state.image}"] :is(.tops, .largest) a`, viewer);
    return first ? said(first.hash).get("c") : "0";
  }

  for (const [image, atlas] of atlases) {
    atlas.interactive("Channels; arrow keys choose one, Enter enlarges it", (tile, isWalk) => go(image, atlas.label(tile), isWalk), lookAtUnit);
  }
  $$(".tops a, .largest a", viewer).forEach((link) => on(link, "click", (event) => {
    event.preventDefault();
    const given = said(link.hash);
    go(given.get("i"), given.get("c"));
  }));
  if (chooser) on(chooser, "change", () => go(chooser.value, state.unit));
  on(window, "view", show);
  on(window, "hashchange", read);
  read();
}

// A kernel says which filter and channel it belongs to where the pointer or the arrow keys are.
function kernels(atlas, names) {
  const isOne = atlas.count < 2;
  const isColour = atlas.node.dataset.atlas.endsWith("rgb");
  const line = element("span", { "aria-live": "polite" }, isOne ? "" : "Click a kernel or use the arrow keys. ");

  function choose(tile) {
    atlas.select(tile);
    const filter = names.filters[isColour ? tile : Math.floor(tile / atlas.columns)];
    const words = isColour ? `Filter ${tile}` : `Filter ${filter}, channel ${names.channels[tile % atlas.columns]}`;
    atlas.node.ariaValueText = words;
    line.replaceChildren(words, " ", element("a", { href: `#c=${isColour ? tile : filter}` }, "its maps"), " ");
    return words;
  }

  const closer = () => look((tile) => atlas.has(tile) && atlas.item(tile, isOne ? atlas.picture.alt : choose(tile)), atlas.tile);
  atlas.node.after(element("p", { class: "quiet" }, line, button("Look closer", closer)));
  if (!isOne) atlas.interactive("Kernels; arrow keys choose one, Enter enlarges it", choose, closer);
}
