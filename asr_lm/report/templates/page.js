"use strict";
(() => {
  const settings = JSON.parse(document.getElementById("settings").textContent);
  const byId = (id) => document.getElementById(id);
  const HAND = "\u0000by hand";
  const PAGE = innerWidth < 700 ? 8 : 25;
  const CURVE_POINTS = 41;
  const NS = "http://www.w3.org/2000/svg";

  // Text of others enters the page through textContent alone.
  function element(tag, properties = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in node) node[name] = value;
      else node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  }

  // ---- colours ----------------------------------------------------------------------------------------------------
  const themes = ["auto", "light", "dark"];
  function applyTheme(theme) {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const button = byId("theme");
    button.textContent = { auto: "Auto", light: "Light", dark: "Dark" }[theme];
    button.setAttribute("aria-label", `Colours: ${theme === "auto" ? "as the system has them" : theme}`);
    button.dataset.theme = theme;
  }
  function stored(value) {
    // A file opened from disk may be refused its storage.
    try {
      if (value !== undefined) localStorage.setItem("asr_lm-theme", value);
      return localStorage.getItem("asr_lm-theme");
    } catch { return null; }
  }
  applyTheme(themes.includes(stored()) ? stored() : "auto");
  byId("theme").addEventListener("click", (event) => {
    const next = themes[(themes.indexOf(event.currentTarget.dataset.theme) + 1) % themes.length];
    stored(next);
    applyTheme(next);
  });

  // ---- parts of the page that are there from the start ------------------------------------------------------------
  let shownList = 0;
  function showParts() {
    for (const node of document.querySelectorAll("[data-list]")) node.hidden = Number(node.dataset.list) !== shownList;
    const system = byId("words-system").value;
    for (const node of document.querySelectorAll("[data-words]")) node.hidden = node.dataset.words !== system;
  }
  byId("words-system").addEventListener("change", showParts);
  byId("list")?.addEventListener("change", (event) => {
    shownList = Number(event.target.value);
    showParts();
    byId("set").value = String(shownList);
    openSet(shownList);
  });

  // A table that is wider than its place says that it can be moved.
  const watching = new ResizeObserver((entries) => {
    for (const { target } of entries) target.classList.toggle("cut", target.scrollWidth > target.clientWidth + 1);
  });
  for (const node of document.querySelectorAll(".scroll")) watching.observe(node);

  // ---- lists: as asr_lm/report/packing.py wrote them ------------------------------------------------------------------
  const sets = [];
  async function unpacked(place) {
    const text = atob(byId(`packed-${place}`).textContent);
    const packed = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const body = new Uint8Array(await new Response(stream).arrayBuffer());
    const headLength = new DataView(body.buffer).getUint32(0, true);
    const decoder = new TextDecoder();
    const header = JSON.parse(decoder.decode(body.subarray(4, 4 + headLength)));
    let begin = 4 + headLength;
    const arrays = {};
    for (const [name, description] of Object.entries(header.arrays)) {
      arrays[name] = decoded(description, body.subarray(begin, begin + description.bytes));
      begin += description.bytes;
    }
    const texts = {};
    for (const [name, size] of Object.entries(header.texts)) {
      texts[name] = body.subarray(begin, begin + size);
      begin += size;
    }
    return { arrays, texts, record: header.record, decoder };
  }
  function decoded({ kind, width, scale, length }, planes) {
    const bytes = new Uint8Array(length * width);
    for (let plane = 0; plane < width; plane++)
      for (let i = 0, from = plane * length; i < length; i++) bytes[i * width + plane] = planes[from + i];
    if (kind === "double") return new Float64Array(bytes.buffer);
    const type = { 1: Int8Array, 2: Int16Array, 4: Int32Array }[width];
    const differences = new type(bytes.buffer);
    const values = new Float64Array(length);
    let sum = 0;
    // The sums are whole numbers and exact; one division gives the double that was written.
    if (scale === 1) for (let i = 0; i < length; i++) values[i] = sum += differences[i];
    else for (let i = 0; i < length; i++) values[i] = (sum += differences[i]) / scale;
    return values;
  }

  class List {
    constructor(place, { arrays, texts, record, decoder }) {
      this.place = place;
      this.ids = record.ids;
      this.references = record.references;
      this.size = record.ids.length;
      this.words = arrays.words;
      this.starts = new Int32Array(this.size + 1);
      this.textStarts = new Int32Array(this.size + 1);
      for (let i = 0; i < this.size; i++) {
        this.starts[i + 1] = this.starts[i] + arrays.lengths[i];
        this.textStarts[i + 1] = this.textStarts[i] + arrays.bytes[i];
      }
      this.rows = this.starts[this.size];
      this.kinds = [0, 1, 2].map((kind) => new Int32Array(arrays[`error:${kind}`]));
      this.errors = this.kinds[0].map((value, row) => value + this.kinds[1][row] + this.kinds[2][row]);
      this.features = new Map(record.features.map((name, number) => [name, arrays[`feature:${number}`]]));
      this.chosen = new Map(record.systems.map(({ name }, number) =>
        [name, Int32Array.from(arrays[`system:${number}`], (value, i) => value + this.starts[i])]));
      this.titles = new Map(record.systems.map(({ name, title }) => [name, title]));
      this.strips = record.strips && this.readStrips(record, arrays);
      this.bytes = texts.texts;
      this.decoder = decoder;
      this.decodedTexts = new Map();
      this.totals = new Float64Array(this.rows);
      this.length = 0;
      for (const words of this.words) if (words > 0) this.length += words;
      this.searchable = null;
    }
    readStrips(record, arrays) {
      const models = record.strips.models.map(({ model, read }, place) => {
        const lengths = arrays[`strip:lengths:${place}`];
        const starts = new Int32Array(lengths.length + 1);
        for (let i = 0; i < lengths.length; i++) starts[i + 1] = starts[i] + lengths[i];
        return { model, read, starts, values: arrays[`strip:values:${place}`] };
      });
      const systems = new Map();
      record.systems.forEach(({ name }) => {
        const rows = arrays[`strip:system:${systems.size}`];
        if (rows) systems.set(name, rows);
      });
      return { ...record.strips, reference: arrays["strip:reference"], systems, models };
    }
    hypotheses(utterance) {
      let found = this.decodedTexts.get(utterance);
      if (!found) {
        found = this.decoder.decode(this.bytes.subarray(this.textStarts[utterance], this.textStarts[utterance + 1])).split("\n");
        this.decodedTexts.set(utterance, found);
      }
      return found;
    }
    text(row, utterance) { return this.hypotheses(utterance)[row - this.starts[utterance]]; }
    // The same additions in the same order as Weights.totals in Python, so also the same rounding and the same ties.
    sum(weights, totals = this.totals) {
      totals.fill(0);
      for (const [name, weight] of weights) {
        const values = this.features.get(name);
        if (weight === 0) continue;
        for (let row = 0; row < totals.length; row++) totals[row] += weight * values[row];
      }
      return totals;
    }
    best(totals) {
      const rows = new Int32Array(this.size);
      for (let i = 0; i < this.size; i++) {
        let top = this.starts[i];
        for (let row = top + 1, end = this.starts[i + 1]; row < end; row++) if (totals[row] > totals[top]) top = row;
        rows[i] = top;
      }
      return rows;
    }
    count(rows) {
      const count = { kinds: [0, 0, 0], wrong: 0, known: 0, errors: 0, rate: null };
      for (let i = 0; i < this.size; i++) {
        if (this.words[i] < 0) continue;
        count.known += 1;
        if (this.errors[rows[i]]) count.wrong += 1;
        for (let kind = 0; kind < 3; kind++) count.kinds[kind] += this.kinds[kind][rows[i]];
      }
      count.errors = count.kinds[0] + count.kinds[1] + count.kinds[2];
      if (this.length) count.rate = (100 * count.errors) / this.length;
      return count;
    }
    errorsOf(rows, utterance) { return this.words[utterance] < 0 ? null : this.errors[rows[utterance]]; }
    search(text, shown) {
      const words = text.toLowerCase().split(/\s+/).filter(Boolean);
      if (!words.length) return shown;
      this.searchable ??= this.ids.map((id, i) => {
        const texts = new Set([...this.chosen.values()].map((rows) => this.text(rows[i], i)));
        return [id, this.references[i] ?? "", ...texts].join("\n").toLowerCase();
      });
      return shown.filter((i) => words.every((word) => this.searchable[i].includes(word)));
    }
  }

  // ---- weights by slider ------------------------------------------------------------------------------------------------
  let list = null;
  let system = settings.systems.find(({ name }) => name === settings.headline);
  let weights = new Map();
  let byHand = false;
  let hand = null;
  let tunedRows = null;
  const sliders = new Map();
  const format = (value) => (value === null ? "–" : value.toFixed(2));
  const short = (value) => String(Number(value.toPrecision(4)));

  function tunedWeights() {
    // The system's own order first: the order of a sum is part of its rounding.
    const values = new Map(system.weights);
    for (const { name } of settings.sliders) if (!values.has(name)) values.set(name, 0);
    return values;
  }
  function makeSliders() {
    for (const { name, kind, low, high } of settings.sliders) {
      const id = `slider-${sliders.size}`;
      const range = element("input", { type: "range", id, min: low, max: high, step: "any" });
      const number = element("input", { type: "number", step: "any", "aria-label": `Weight of ${name}` });
      const kinds = { "first-pass": "first pass", model: "language model", length: "length", rank: "rank", unknown: "unknown words" };
      const label = element("label", { htmlFor: id }, name, " ", element("small", {}, name === kinds[kind] ? "" : kinds[kind]));
      const svg = document.createElementNS(NS, "svg");
      svg.setAttribute("viewBox", "0 0 100 30");
      svg.setAttribute("preserveAspectRatio", "none");
      svg.setAttribute("aria-hidden", "true");
      byId("sliders").append(element("div", { className: "slider" }, label, number, range, svg));
      sliders.set(name, { range, number, svg, low, high });
      range.dataset.feature = number.dataset.feature = name;
      range.addEventListener("input", () => moved(name, Number(range.value), range));
      number.addEventListener("input", () => { if (number.value !== "" && Number.isFinite(number.valueAsNumber)) moved(name, number.valueAsNumber, number); });
    }
  }
  function moved(name, value, source) {
    performance.mark("step-begin");
    weights.set(name, value);
    byHand = true;
    showSlider(name, source);
    recount();
    performance.measure("step", "step-begin");
  }
  function showSlider(name, source = null) {
    const { range, number } = sliders.get(name);
    const value = weights.get(name);
    if (source !== range) range.value = String(value);
    if (source !== number) number.value = short(value);
    range.setAttribute("aria-valuetext", short(value));
  }
  function resetWeights() {
    weights = tunedWeights();
    byHand = false;
    for (const name of sliders.keys()) showSlider(name);
    tunedRows = list.best(list.sum(weights));
    recount();
  }
  function recount() {
    hand = list.best(list.sum(weights));
    const count = list.count(hand);
    const output = byId("rate");
    output.textContent = format(count.rate);
    output.dataset.value = String(count.rate);
    byId("rate-tuned").textContent = format(list.count(tunedRows).rate);
    byId("rate-first").textContent = format(list.count(list.chosen.get("first_pass")).rate);
    byId("rate-oracle").textContent = format(list.count(list.chosen.get("oracle")).rate);
    byId("kinds").textContent = count.kinds.join(" / ");
    byId("wrong").textContent = `${count.wrong} of ${count.known}`;
    let unlike = 0;
    for (let i = 0; i < list.size; i++) if (hand[i] !== tunedRows[i]) unlike += 1;
    byId("moved").textContent = String(unlike);
    byId("reset").disabled = !byHand;
    showMark();
    if (shownNow.after === HAND || shownNow.before === HAND) showUtterances();
    drawCurvesSoon();
  }
  function showMark() {
    const development = list.place === settings.development;
    const mark = byId("mark");
    mark.className = byHand ? "mark hand" : development ? "mark dev" : "mark";
    const choice = system.decision === "mbr" ? " The table's figure is by minimum Bayes risk; here the largest total is chosen." : "";
    if (byHand) mark.textContent = `Tuned by hand on ${settings.names[list.place]}, the set this figure is read from. It is no result: do not report it.${choice}`;
    else if (development) mark.textContent = `The weights were tuned on this very set, so its figure flatters them.${choice}`;
    else if (settings.tunedHere) mark.textContent = `Weights tuned on ${settings.tunedOn}; this set played no part in them.${choice}`;
    else mark.textContent = `Weights: ${settings.tunedOn}. This set played no part in them.${choice}`;
  }
  let curveTimer = 0;
  function drawCurvesSoon() {
    clearTimeout(curveTimer);
    curveTimer = setTimeout(() => drawCurves([...sliders.keys()], weights), 250);
  }
  // One slider at a time, so that the page stays awake on long lists.
  function drawCurves(names, of) {
    const [name, ...others] = names;
    if (!name || of !== weights) return;
    drawCurve(name);
    curveTimer = setTimeout(() => drawCurves(others, of), 0);
  }
  function drawCurve(name) {
    const { svg, low, high } = sliders.get(name);
    const values = list.features.get(name);
    const here = weights.get(name);
    const totals = new Float64Array(list.rows);
    const rates = [];
    for (let point = 0; point < CURVE_POINTS; point++) {
      const step = low + ((high - low) * point) / (CURVE_POINTS - 1) - here;
      for (let row = 0; row < totals.length; row++) totals[row] = list.totals[row] + step * values[row];
      rates.push(list.count(list.best(totals)).rate ?? 0);
    }
    const now = list.count(hand).rate ?? 0;
    const least = Math.min(...rates, now), most = Math.max(...rates, now);
    const x = (weight) => (100 * (Math.min(Math.max(weight, low), high) - low)) / (high - low || 1);
    const y = (rate) => (most === least ? 15 : 28 - (26 * (rate - least)) / (most - least));
    const line = document.createElementNS(NS, "polyline");
    line.setAttribute("points", rates.map((rate, point) => `${((100 * point) / (CURVE_POINTS - 1)).toFixed(2)},${y(rate).toFixed(2)}`).join(" "));
    const tuned = segment("tuned", x(tunedWeights().get(name)), 0, 30);
    const dot = segment("here", x(here), y(now), y(now) + 0.01);
    svg.replaceChildren(tuned, line, dot);
  }
  function segment(kind, x, from, to) {
    const node = document.createElementNS(NS, "line");
    for (const [key, value] of Object.entries({ class: kind, x1: x, x2: x, y1: from, y2: to })) node.setAttribute(key, value);
    return node;
  }

  // ---- utterances ---------------------------------------------------------------------------------------------------------
  const shownNow = { before: "first_pass", after: settings.headline, limit: PAGE, order: [] };
  const rowsOf = (name) => (name === HAND ? hand : list.chosen.get(name));
  const titleOf = (name) => (name === HAND ? "sliders" : list.titles.get(name) ?? name);

  function changeOf(i) {
    const before = list.errorsOf(rowsOf(shownNow.before), i);
    return before === null ? null : list.errorsOf(rowsOf(shownNow.after), i) - before;
  }
  const passes = {
    all: () => true,
    fixed: (change) => change !== null && change < 0,
    broken: (change) => change !== null && change > 0,
    same: (change) => change === 0,
  };
  function showUtterances() {
    const changes = Array.from({ length: list.size }, (_, i) => changeOf(i));
    let kept = list.search(byId("search").value, [...changes.keys()]);
    for (const [name, pass] of Object.entries(passes))
      byId(`count-${name}`).textContent = kept.reduce((sum, i) => sum + Number(pass(changes[i])), 0);
    const show = document.querySelector('input[name="show"]:checked').value;
    kept = kept.filter((i) => passes[show](changes[i]));
    const after = rowsOf(shownNow.after);
    const sorting = {
      list: (i) => i,
      gain: (i) => changes[i] ?? Infinity,
      loss: (i) => -(changes[i] ?? -Infinity),
      errors: (i) => -(list.errorsOf(after, i) ?? -1),
      long: (i) => -list.words[i],
    };
    const key = sorting[byId("sort").value];
    kept.sort((one, other) => key(one) - key(other) || one - other);
    shownNow.order = kept;
    const counted = kept.length.toLocaleString("en");
    const told = `${counted} utterance${kept.length === 1 ? "" : "s"}, ${titleOf(shownNow.before)} to ${titleOf(shownNow.after)}.`;
    const keys = element("span", { className: "keys" }, " Open one with Enter; j and k go to the next and the previous one.");
    byId("found").replaceChildren(...(kept.length ? [told, keys] : ["No utterance fits. Clear the search, or show all."]));
    renderItems(changes);
  }
  function renderItems(changes) {
    const open = new Set([...document.querySelectorAll("#items details[open]")].map((node) => node.dataset.place));
    const focused = document.activeElement?.closest?.("#items details")?.dataset.place;
    const shown = shownNow.order.slice(0, shownNow.limit).map((i) => item(i, changes[i], open.has(String(i))));
    byId("items").replaceChildren(...shown);
    byId("more").hidden = shownNow.order.length <= shownNow.limit;
    if (focused !== undefined) document.querySelector(`#items details[data-place="${focused}"] > summary`)?.focus({ preventScroll: true });
  }
  function item(i, change, open) {
    const before = rowsOf(shownNow.before), after = rowsOf(shownNow.after);
    const kind = change === null || change === 0 ? "" : change < 0 ? "fixed" : "broken";
    // A gain is positive: errors that are gone.
    const badge = change === null ? "no ref." : change === 0 ? "±0" : `${change > 0 ? "−" : "+"}${Math.abs(change)}`;
    const told = change === null ? "no reference" : kind ? `${kind}, ${Math.abs(change)} errors` : "unchanged";
    const counts = change === null ? "" : `${list.errorsOf(before, i)} → ${list.errorsOf(after, i)} of ${list.words[i]}`;
    const line = element("span", { className: "line" });
    line.append(...marked(list.references[i], list.text(after[i], i)));
    const summary = element("summary", {},
      element("span", { className: `badge ${kind}`, title: told }, badge), line,
      element("span", { className: "score", title: "errors before and after, words spoken" }, counts), element("span", { className: "id" }, list.ids[i]));
    const node = element("details", { className: "item" }, summary);
    node.dataset.place = String(i);
    const fill = () => { if (node.open && node.childElementCount === 1) node.append(body(i)); };
    node.addEventListener("toggle", fill);
    if (open) { node.open = true; fill(); }
    return node;
  }
  // Texts hold what is counted and nothing else.
  const gap = settings.separator;
  const split = (text) => (gap ? text.split(gap).filter(Boolean) : Array.from(text));

  // Of the alignments with the fewest errors, substitutions before insertions and deletions.
  function align(reference, hypothesis) {
    const rows = reference.length + 1, columns = hypothesis.length + 1;
    const cost = new Int32Array(rows * columns);
    for (let i = 0; i < rows; i++) cost[i * columns] = i;
    for (let j = 0; j < columns; j++) cost[j] = j;
    for (let i = 1; i < rows; i++)
      for (let j = 1; j < columns; j++)
        cost[i * columns + j] = Math.min(
          cost[(i - 1) * columns + j - 1] + (reference[i - 1] === hypothesis[j - 1] ? 0 : 1),
          cost[(i - 1) * columns + j] + 1, cost[i * columns + j - 1] + 1);
    const slots = Array.from({ length: rows }, () => ({ inserted: [], word: null, kind: "" }));
    let i = rows - 1, j = columns - 1;
    while (i || j) {
      const here = cost[i * columns + j];
      const same = i && j && reference[i - 1] === hypothesis[j - 1];
      if (i && j && here === cost[(i - 1) * columns + j - 1] + (same ? 0 : 1)) {
        slots[i - 1].word = hypothesis[j - 1];
        slots[i - 1].kind = same ? "" : "sub";
        i -= 1; j -= 1;
      } else if (j && here === cost[i * columns + j - 1] + 1) { slots[i].inserted.unshift(hypothesis[j - 1]); j -= 1; }
      else { slots[i - 1].kind = "del"; i -= 1; }
    }
    return slots;
  }
  function marked(reference, text) {
    if (reference === null) return [text || "(empty)"];
    const words = split(reference);
    const nodes = [];
    align(words, split(text)).forEach(({ inserted, word, kind }, place) => {
      for (const added of inserted) nodes.push(element("span", { className: "ins", title: "inserted" }, added), gap);
      if (place < words.length) nodes.push(kind === "del" ? element("span", { className: "del", title: `left out: ${words[place]}` })
        : kind ? element("span", { className: "sub", title: `for ${words[place]}` }, word) : word, gap);
    });
    return nodes.length ? nodes : ["(nothing said, nothing recognised)"];
  }
  function body(i) {
    const node = element("div", { className: "body" });
    node.append(element("h4", {}, list.references[i] === null ? "What was chosen" : "Against the reference"), aligned(i));
    if (list.references[i] !== null) node.append(element("p", { className: "legend" },
      element("span", {}, element("span", { className: "sub" }, "wrong"), " for another word"),
      element("span", {}, element("span", { className: "ins" }, "added")), element("span", {}, element("span", { className: "del" }), " left out")));
    if (list.strips) node.append(element("h4", {}, "What the language models say of each word (natural log)"), ...strips(i));
    node.append(element("h4", {}, "Hypotheses"), hypotheses(i));
    return node;
  }
  // Systems with one choice share a line.
  function choices(i) {
    const found = new Map();
    for (const name of [...list.chosen.keys(), HAND]) {
      if (name === HAND && !byHand) continue;
      const row = rowsOf(name)[i];
      found.set(row, [...(found.get(row) ?? []), name]);
    }
    return found;
  }
  // What a line is called whose choice several systems share.
  function called(names) {
    const tested = [...list.chosen.keys()].filter((name) => name !== "oracle");
    if (tested.length > 2 && tested.every((name) => names.includes(name)))
      return ["every system", ...names.filter((name) => !tested.includes(name)).map(titleOf)].join(", ");
    return names.map(titleOf).join(", ");
  }
  function aligned(i) {
    const reference = list.references[i];
    const table = element("table", {});
    const lines = [...choices(i)].map(([row, names]) => ({
      name: called(names), row, slots: reference === null ? null : align(split(reference), split(list.text(row, i))),
    }));
    const label = (text) => element("th", { scope: "row" }, text);
    if (reference === null)
      for (const { name, row } of lines) table.append(element("tr", {}, label(name), element("td", {}, list.text(row, i) || "(empty)")));
    else for (const columns of blocks(alignedColumns(split(reference), lines))) {
      const rows = [{ name: "reference", errors: "" }, ...lines.map(({ name, row }) => ({ name, errors: String(list.errors[row]) }))];
      table.append(element("tbody", {}, ...rows.map(({ name, errors }, place) => element("tr", {}, label(name),
        element("td", { className: "n", title: "errors" }, errors), ...columns.map((cells) => element("td", {}, ...cells[place].nodes))))));
    }
    return element("div", { className: "aligned", tabIndex: 0, role: "region", "aria-label": "Aligned choices" }, table);
  }
  // A column is one word of the reference, or what some line inserts between two; its cells are the reference's, then each line's.
  // Letters from Hangul on (Chinese, Japanese, Korean) are twice as wide.
  const wide = (text) => Array.from(text).reduce((sum, letter) => sum + (letter >= "\u1100" ? 2 : 1), 0);
  function alignedColumns(words, lines) {
    const cell = (text, kind) => ({ width: wide(text), nodes: kind || !text ? (kind ? [element("span", { className: kind }, text)] : []) : [text] });
    const columns = [];
    for (let place = 0; place <= words.length; place++) {
      if (lines.some(({ slots }) => slots[place].inserted.length))
        columns.push([cell("", ""), ...lines.map(({ slots }) => { const text = slots[place].inserted.join(gap); return cell(text, text && "ins"); })]);
      if (place < words.length)
        columns.push([cell(words[place], ""), ...lines.map(({ slots }) => cell(slots[place].word ?? "", slots[place].kind))]);
    }
    return columns;
  }
  // As many columns beside each other as the page is wide, then the next block of lines.
  function blocks(columns) {
    const room = Math.max(18, (byId("items").clientWidth - (innerWidth < 700 ? 150 : 260)) / 8.6);
    const found = [[]];
    let used = 0;
    for (const cells of columns) {
      const width = Math.max(...cells.map((cell) => cell.width)) + 1.6;
      if (used + width > room && found.at(-1).length) { found.push([]); used = 0; }
      found.at(-1).push(cells);
      used += width;
    }
    return found;
  }
  function strips(i) {
    const { texts, reference, systems, models, silent } = list.strips;
    const names = new Map();
    const add = (place, name) => { if (place >= 0) names.set(place, [...(names.get(place) ?? []), name]); };
    add(reference[i], "reference");
    for (const [name, rows] of systems) add(rows[i], name);
    const nodes = [];
    for (const { model, read, starts, values } of models)
      for (const [place, whose] of names) {
        const words = [...split1(read[place] ?? texts[place]), "</s>"];
        const said = Array.from(values.subarray(starts[place], starts[place + 1]), (value) => value * settings.step);
        const sum = said.reduce((total, value) => total + value, 0);
        nodes.push(element("p", { className: "strip-of" }, element("b", {}, model), ` · ${called(whose)} · total ${sum.toFixed(1)}`));
        nodes.push(element("ol", { className: "strip" }, ...words.map((word, number) => heat(word, said[number]))));
      }
    for (const model of silent) nodes.push(element("p", { className: "strip-of" }, element("b", {}, model), " · scores whole hypotheses, no words"));
    return nodes;
  }
  const split1 = (text) => text.split(/\s+/).filter(Boolean);
  function heat(word, value) {
    const node = element("li", { title: `log-probability ${value.toFixed(2)}` }, word, element("small", {}, value.toFixed(1)));
    node.style.backgroundColor = `rgba(var(--heat), ${Math.min(-value / 14, 1) * 0.55})`;
    return node;
  }
  function hypotheses(i, all = false) {
    const begin = list.starts[i], end = list.starts[i + 1];
    const totals = list.totals;
    const order = Array.from({ length: end - begin }, (_, rank) => begin + rank).sort((a, b) => totals[b] - totals[a] || a - b);
    const picks = new Map([...choices(i)].map(([row, names]) => [row, called(names)]));
    const shown = all ? order : order.filter((row, place) => place < 8 || picks.has(row));
    const features = [...list.features.keys()];
    const head = element("tr", {}, ...["rank", "errors"].map((name) => element("th", { scope: "col" }, name)), element("th", { scope: "col", className: "text" }, "text"),
      ...["total", ...features].map((name) => element("th", { scope: "col" }, name)), element("th", { scope: "col", className: "text" }, "chosen by"));
    const rows = shown.map((row) => element("tr", { className: picks.has(row) ? "pick" : "" },
      element("td", {}, String(row - begin + 1)), element("td", {}, list.words[i] < 0 ? "–" : String(list.errors[row])),
      element("td", { className: "text said" }, ...marked(list.references[i], list.text(row, i))), element("td", {}, totals[row].toFixed(2)),
      ...features.map((name) => element("td", {}, short(list.features.get(name)[row]))),
      element("td", { className: "text" }, picks.get(row) ?? "")));
    const node = element("div", {}, element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Hypotheses by total" },
      element("table", { className: "figures" }, element("thead", {}, head), element("tbody", {}, ...rows))));
    if (shown.length < order.length) {
      const button = element("button", { type: "button" }, `Show all ${order.length} hypotheses`);
      button.addEventListener("click", () => node.replaceWith(hypotheses(i, true)));
      node.append(button);
    }
    return node;
  }

  // ---- controls -----------------------------------------------------------------------------------------------------------
  function fillSelect(id, options, value) {
    byId(id).replaceChildren(...options.map(([name, text]) => element("option", { value: name }, text)));
    byId(id).value = value;
  }
  function onChange(id, act) { byId(id).addEventListener(id === "search" ? "input" : "change", (event) => { shownNow.limit = PAGE; act(event.target.value); }); }
  function connect() {
    fillSelect("system", settings.systems.map(({ name, title }) => [name, title]), system.name);
    fillSelect("set", settings.names.map((name, place) => [String(place), place === settings.development ? `development: ${name}` : name]), String(shownList));
    const systems = [...list.titles].filter(([name]) => name !== HAND);
    fillSelect("before", [...systems, [HAND, "sliders"]], shownNow.before);
    fillSelect("after", [...systems, [HAND, "sliders"]], shownNow.after);
    onChange("system", (name) => { system = settings.systems.find((other) => other.name === name); resetWeights(); });
    onChange("set", (place) => openSet(Number(place)));
    onChange("before", (name) => { shownNow.before = name; showUtterances(); });
    onChange("after", (name) => { shownNow.after = name; showUtterances(); });
    onChange("sort", () => showUtterances());
    onChange("search", () => showUtterances());
    for (const radio of document.querySelectorAll('input[name="show"]')) radio.addEventListener("change", () => { shownNow.limit = PAGE; showUtterances(); });
    byId("reset").addEventListener("click", resetWeights);
    byId("more").addEventListener("click", () => { shownNow.limit += 4 * PAGE; showUtterances(); });
    document.addEventListener("keydown", keys);
    byId("live").hidden = byId("controls").hidden = false;
  }
  function keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=radio]):not([type=range]), select, textarea")) return;
    if (event.key === "/") {
      event.preventDefault();
      byId("search").focus();
    } else if (event.key === "j" || event.key === "k") {
      const summaries = [...document.querySelectorAll("#items summary")];
      const at = summaries.indexOf(document.activeElement?.closest?.("details")?.querySelector("summary"));
      const next = summaries[at < 0 ? 0 : at + (event.key === "j" ? 1 : -1)];
      next?.focus();
      next?.scrollIntoView({ block: "nearest" });
    }
  }
  async function openSet(place) {
    sets[place] ??= unpacked(place).then((parts) => new List(place, parts));
    const opened = await sets[place];
    list = opened;
    shownNow.limit = PAGE;
    resetWeights();
    showUtterances();
  }
  async function start() {
    performance.mark("open-begin");
    sets[0] = unpacked(0).then((parts) => new List(0, parts));
    list = await sets[0];
    makeSliders();
    connect();
    resetWeights();
    showUtterances();
    performance.measure("open", "open-begin");
    document.documentElement.dataset.ready = "yes";
  }
  start().catch((error) => {
    const failure = byId("failure");
    failure.hidden = false;
    failure.textContent = typeof DecompressionStream === "undefined"
      ? "This browser cannot open the packed scores; a version from 2023 or later can. The overview is complete without them."
      : `The scores in this file cannot be read (${error.message}); it may have been cut off.`;
    console.error(error);
  });
})();
