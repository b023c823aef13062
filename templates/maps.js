// The pages of layers: choose a channel, a colour map, a scale, and see one map large.

// A picture of many tiles: which tile is where, which channel it shows, and on what scale.
function atlasOf(node, { low, high, labels }, scale = (...own) => own) {
  const [columns, count, width, height] = ["columns", "count", "width", "height"].map((name) => +node.dataset[name]);
  const rows = Math.ceil(count / columns);
  // The picture has no outer border: it lacks one line that every tile but the last has.
  const [wide, tall] = [columns * (width + 1) - 1, rows * (height + 1) - 1];
  const names = labels || Array.from({ length: count }, (_, tile) => String(tile));
  const picture = $("img", node);
  const canvas = element("canvas", { height: rows, "aria-hidden": "true" });
  const cursor = element("div", { class: "cursor", hidden: "" });
  let chosen = 0;

  const range = (tile) => [low, high].map((end) => (Array.isArray(end) ? end[tile] : end));
  const box = (tile) => [tile % columns * (width + 1), Math.floor(tile / columns) * (height + 1), width, height];
  const place = (over, x, y, across, down) => Object.assign(over.style, {
    left: 100 * x / wide + "%", top: 100 * y / tall + "%", width: 100 * across / wide + "%", height: 100 * down / tall + "%",
  });

  // What, laid over a tile, takes it from its own range to that of the scale: the opacity shrinks the range
  // to its share of the scale, the grey lifts it to its place there.
  function veil(tile) {
    const [bottom, top] = scale(...range(tile));
    const [from, to] = range(tile).map((end) => (end - bottom) / (top - bottom));
    if (!isFinite(from)) return "transparent";
    // Never fully opaque: by their opacity the lines between tiles can be told from tiles.
    const alpha = Math.min(1 - to + from, 254 / 255);
    const grey = 254 * from / Math.max(alpha, 1 / 255);
    return `rgb(${grey} ${grey} ${grey} / ${alpha})`;
  }

  function veilDrawing(drawing, tile) {
    const [x, y] = box(tile);
    $("rect", drawing)?.remove();
    drawing.append(element("rect", { x, y, width, height, fill: veil(tile) }));
  }

  // All tiles at once, one pixel a tile.
  function veilAll() {
    canvas.width = columns;
    const pen = canvas.getContext("2d");
    names.forEach((_, tile) => {
      pen.fillStyle = veil(tile);
      pen.fillRect(tile % columns, Math.floor(tile / columns), 1, 1);
    });
  }

  function crop(tile) {
    const drawing = element("svg", { class: "crop tinted " + node.classList[1], viewBox: box(tile).join(" "), "aria-hidden": "true" },
      element("image", { href: picture.getAttribute("src"), width: wide, height: tall }));
    veilDrawing(drawing, tile);
    return drawing;
  }

  // A tile as something to look at closely.
  const item = (tile, name, mark) =>
    ({ drawing: crop(tile), name, mark, tile, range: range(tile), file: picture.src.split("/").pop().slice(0, -4) });

  function select(tile, words) {
    node.ariaValueText = words;
    cursor.hidden = tile < 0;
    if (tile < 0) return;
    node.ariaValueNow = chosen = tile;
    place(cursor, ...box(tile));
  }

  // Arrow keys walk from tile to tile, a click goes to one, Enter and a second click look closer.
  function interactive(what, go, closer) {
    const tell = (tile, isWalk) => tile in names && go(tile, isWalk);
    Object.assign(node, { role: "slider", tabIndex: 0, ariaLabel: what + "; arrow keys choose one, Enter enlarges it", ariaValueMax: count - 1, ariaValueNow: 0 });
    on(node, "click", ({ clientX, clientY }) => {
      const frame = node.getBoundingClientRect();
      const part = (at, all, parts) => Math.floor(at / all * parts);
      tell(part(clientY - frame.top, frame.height, rows) * columns + part(clientX - frame.left, frame.width, columns));
    });
    on(node, "dblclick", closer);
    on(node, "keydown", (event) => {
      if (event.key === "Enter") closer();
      const to = {
        ArrowLeft: chosen - 1, ArrowRight: chosen + 1, ArrowUp: chosen - columns, ArrowDown: chosen + columns, Home: 0, End: count - 1,
      }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      tell(to, true);
    });
  }

  place(canvas, 0, 0, wide + 1, tall + 1);
  $(".cut", node).append(canvas);
  node.append(cursor);
  const ends = [low, high].flat();
  return { node, names, columns, alt: picture.alt, lowest: Math.min(...ends), highest: Math.max(...ends), range, veilDrawing, veilAll, crop, item, select, interactive, chosen: () => chosen };
}

function layerPage() {
  const data = window.layerData;
  if (!data) return;
  const atlasAt = (node, scale) => node && atlasOf(node, data.atlases[node.dataset.atlas], scale);
  for (const node of $$("[data-atlas^=kernels]")) kernels(atlasAt(node), data.kernels);
  const viewer = $("#viewer");
  if (!viewer) return;
  const plates = $$(".plate", viewer);
  const atlases = new Map(plates.map((plate) => [plate.dataset.image, atlasAt($("[data-atlas]", plate), scale)]));
  const all = [...atlases.values()];
  const [first] = atlases.keys();
  const panel = $("#unit");
  const chooser = $("#choose-image");
  const rows = new Map($$("#activations tbody tr").map((row) => [row.cells[0].textContent, row]));
  const closer = button("Look closer", () => lookAtUnit());
  const lowest = Math.min(...all.map((atlas) => atlas?.lowest));
  const highest = Math.max(...all.map((atlas) => atlas?.highest));
  let image = first;
  let unit;

  function scale(...own) {
    const [low, high] = root.dataset.scale === "shared" ? [lowest, highest] : own;
    const limit = Math.max(-low, high);
    return root.dataset.colour === "diverging" ? [-limit, limit] : [low, high];
  }

  const table = (facts) => element("dl", { class: "facts" }, ...facts.filter(([, value]) => value).map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value))));

  // The page's table holds the first units, the data the others.
  function facts() {
    const row = rows.get(unit);
    const values = row ? [...row.cells].slice(1).map((cell) => cell.textContent) : data.rest[unit - data.shown].split("|");
    return table(data.columns.map(([name, its], index) => [name, values[index] && `${values[index]} ${its}`.trim()]));
  }

  function mapAndRange(atlas, tile) {
    if (tile < 0) return [element("p", { class: "quiet" }, `No map of it is kept: ${atlas.names.length} of ${data.count} channels have one.`)];
    const [low, high] = atlas.range(tile);
    const ramp = element("div", { class: "ramp" },
      element("svg", { class: "tinted", viewBox: "0 0 254 8", preserveAspectRatio: "none", "aria-hidden": "true" }, element("rect", { width: 254, height: 8, fill: "url(#ramp)" })),
      ...scale(low, high).map((end) => element("span", {}, number(end))));
    return [atlas.crop(tile), ramp, closer, element("h4", {}, "In this map"), table([["Lowest", number(low)], ["Highest", number(high)]])];
  }

  function show() {
    const atlas = atlases.get(image);
    const kind = atlas ? "Channel" : "Unit";
    const tile = atlas?.names.indexOf(unit);
    const card = "#unit-" + unit;
    plates.forEach((plate) => plate.classList.toggle("current", plate.dataset.image === image));
    if (chooser) chooser.value = image;
    panel.replaceChildren(
      element("h3", {}, kind + " ", element("output", { id: "channel" }, unit)), ...(atlas ? mapAndRange(atlas, tile) : []),
      element("h4", {}, `On ${data.images}`), facts(), element("a", { href: `#c=${unit}&i=${image}` }, `Link to this ${kind.toLowerCase()}`),
      ...($(card) ? [" · ", element("a", { href: card }, "Its card")] : []));
    if (!atlas) return;
    atlas.veilAll();
    atlas.select(tile, `channel ${unit}`);
    for (const link of $$(".current .tops a", viewer)) {
      const its = said(link.hash).get("c");
      atlas.veilDrawing($("svg", link), atlas.names.indexOf(its));
      link.ariaCurrent = its === unit || null;
    }
  }

  function go(toImage, toUnit, isWalk) {
    [image, unit] = [toImage, toUnit];
    say({ c: unit, i: image }, isWalk);
    show();
  }

  lookAtUnit = () => {
    const atlas = atlases.get(image);
    if (atlas) look((tile) => {
      if (!(tile in atlas.names)) return null;
      go(image, atlas.names[tile], true);
      return atlas.item(tile, `Channel ${unit} of ${atlas.alt.split("; channel ")[0]}`, "unit");
    }, atlas.names.indexOf(unit));
  };

  function read() {
    // Back to where nothing was chosen yet.
    if (!location.hash) {
      image = first;
      unit = null;
    }
    const asked = said().get("c");
    const wanted = said().get("i") || location.hash.split("#i-")[1];
    if (atlases.has(wanted)) image = wanted;
    if (/^\d+$/.test(asked) && +asked < data.count) unit = asked;
    // What is strongest in the image comes first.
    unit ||= said($(`[data-image="${image}"] :is(.tops, .largest) a`, viewer)?.hash || "").get("c") || "0";
    show();
    if (!asked) return;
    const frame = viewer.getBoundingClientRect();
    if (frame.bottom < 0 || frame.top > innerHeight / 2) $("#activations").scrollIntoView();
    for (const [name, row] of rows) row.ariaCurrent = name === unit || null;
  }

  for (const [slug, atlas] of atlases) {
    atlas?.interactive("Channels", (tile, isWalk) => go(slug, atlas.names[tile], isWalk), lookAtUnit);
  }
  $$(".tops a, .largest a", viewer).forEach((link) => on(link, "click", (event) => {
    event.preventDefault();
    const given = said(link.hash);
    go(given.get("i"), given.get("c"));
  }));
  if (chooser) on(chooser, "change", () => go(chooser.value, unit));
  on(window, "view", show);
  on(window, "hashchange", read);
  read();
}

// A kernel says which filter and channel it belongs to where the pointer or the arrow keys are.
function kernels(atlas, { filters, channels }) {
  const { node, names } = atlas;
  const isOne = names.length < 2;
  const isColour = node.dataset.atlas.endsWith("rgb");
  const line = element("span", { "aria-live": "polite" }, isOne ? "" : "Click a kernel or use the arrow keys. ");

  function choose(tile) {
    const filter = isColour ? tile : filters[Math.floor(tile / channels.length)];
    const words = `Filter ${filter}` + (isColour ? "" : `, channel ${channels[tile % channels.length]}`);
    atlas.select(tile, words);
    line.replaceChildren(words, " ", element("a", { href: `#c=${filter}` }, "its maps"), " ");
    return words;
  }

  const closer = () => look((tile) => tile in names && atlas.item(tile, isOne ? atlas.alt : choose(tile)), atlas.chosen());
  node.after(element("p", { class: "quiet" }, line, button("Look closer", closer)));
  if (!isOne) atlas.interactive("Kernels", choose, closer);
}
