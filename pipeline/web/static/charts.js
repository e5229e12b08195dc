// Charts of page and report alike. Data are columns: time (Unix seconds), value, forecast, lower, upper, and in
// reports score and level; null is missing. Text goes into the document as text, never as markup.
"use strict";

const Foretell = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const SPARK = { width: 120, height: 40 };

  function node(tag, className = "", text = "") {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text) made.textContent = text;
    return made;
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function number(value) {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-4 || size >= 1e9)) return value.toExponential(3);
    return String(Number(value.toPrecision(size >= 1e4 ? 8 : 5)));
  }

  const moment = (iso) => (iso ? `${iso.slice(0, 19).replace("T", " ")}` : "an unknown time");
  const clock = (seconds) => moment(new Date(seconds * 1000).toISOString());

  // The smallest and largest of some columns; null where there is none.
  function span(columns) {
    let low = Infinity, high = -Infinity;
    for (const column of columns) for (const value of column) {
      if (value === null) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return low <= high ? [low, high] : null;
  }

  function spark(svg, data) {
    svg.replaceChildren();
    const range = span([data.value, data.lower, data.upper]);
    const n = data.time.length;
    if (range === null || n < 2) return;
    const [low, high] = range, height = high - low || 1;
    const x = (i) => (i / (n - 1)) * SPARK.width;
    const y = (value) => (1 - (value - low) / height) * (SPARK.height - 4) + 2;
    const add = (className, d) => {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("class", className);
      path.setAttribute("d", d);
      svg.append(path);
    };
    let band = "", line = "", isDown = false, top = [], bottom = [];
    const close = () => {
      if (top.length > 1) band += `M${top.concat(bottom.reverse()).join("L")}Z`;
      top = []; bottom = [];
    };
    for (let i = 0; i < n; i++) {
      const at = x(i).toFixed(1);
      if (data.value[i] === null) isDown = false;
      else { line += `${isDown ? "L" : "M"}${at} ${y(data.value[i]).toFixed(1)}`; isDown = true; }
      if (data.lower[i] === null) close();
      else { top.push(`${at} ${y(data.upper[i]).toFixed(1)}`); bottom.push(`${at} ${y(data.lower[i]).toFixed(1)}`); }
    }
    close();
    add("spark-band", band);
    add("spark-line", line);
  }

  function newSpark() {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${SPARK.width} ${SPARK.height}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    return svg;
  }

  // Shades episodes under the lines: {from, to}, seconds; to is null while one is open.
  function shade(plot, episodes) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const { from, to } of episodes) {
      const left = plot.valToPos(from, "x", true);
      const right = to === null ? bbox.left + bbox.width : plot.valToPos(to, "x", true);
      ctx.fillStyle = colour("--alert-back");
      ctx.fillRect(left, bbox.top, Math.max(right - left, 3), bbox.height);
      ctx.fillStyle = colour("--alert");
      ctx.fillRect(left, bbox.top, 2, bbox.height);
    }
    ctx.restore();
  }

  // Times of day with 24 hours; a second line says the day where it begins.
  const day = "\n{YYYY}-{MM}-{DD}";
  const stamps = [
    [31536000, "{YYYY}", null, null, null, null, null, null, 1],
    [86400, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
    [60, "{HH}:{mm}", day, null, day, null, null, null, 1],
    [1, "{HH}:{mm}:{ss}", day, null, day, null, null, null, 1],
    [0.001, "{ss}.{fff}", "\n{HH}:{mm}", null, "\n{HH}:{mm}", null, "\n{HH}:{mm}", null, 1],
  ];

  const axis = (label) => ({
    stroke: () => colour("--faint"), grid: { stroke: () => colour("--grid"), width: 1 }, ticks: { show: false },
    ...(label ? { label, labelSize: 18, size: 56, values: (_, ticks) => ticks.map(number) } : { values: stamps }),
  });

  function options(width, height, sync, series, bands, labels, episodes) {
    return {
      width, height, series, bands,
      tzDate: (at) => uPlot.tzDate(new Date(at * 1e3), "Etc/UTC"),
      cursor: { sync: { key: sync }, drag: { x: true, y: false } },
      legend: { live: true },
      axes: [axis(""), axis(labels)],
      hooks: { drawClear: [(plot) => shade(plot, episodes())] },
    };
  }

  const time = { label: "time", value: (_, at) => (at === null ? "–" : clock(at)) };
  const line = (label, name, extra = {}) => ({
    label, stroke: () => colour(name), width: 1.5, points: { show: false }, value: (_, value) => number(value), ...extra,
  });

  // A chart in a container: readings in their band, and where there are scores those against the level.
  class Chart {
    constructor(container, { label = "reading", hasScores = false } = {}) {
      Object.assign(this, { container, label, hasScores, episodes: [], data: null, isZoomed: false, plots: [] });
      this.sync = `chart-${Chart.n = (Chart.n || 0) + 1}`;
      this.holder = node("div", "chart");
      this.holder.setAttribute("role", "img");
      container.append(this.holder);
      this.build();
      new ResizeObserver(() => this.resize()).observe(container);
    }

    build() {
      const bare = { width: 0, points: { show: false } };
      const upper = { ...line("upper end", "--forecast"), ...bare }, lower = { ...line("lower end", "--forecast"), ...bare };
      const reading = line(this.label, "--reading", { width: 2 });
      const shown = [time, upper, lower, line("foretold", "--forecast", { dash: [5, 4] }), reading];
      const band = [{ series: [1, 2], fill: () => colour("--band") }];
      const make = (height, series, bands, label) => new uPlot(
        options(this.width(), height, this.sync, series, bands, label, () => this.episodes), series.map(() => []), this.holder);
      this.plots = [make(300, shown, band, this.label)];
      if (this.hasScores) {
        const scores = [time, line("score", "--warn"), line("alert level", "--alert", { dash: [5, 4] })];
        this.plots.push(make(150, scores, [], "score (tenfolds)"));
      }
      for (const plot of this.plots) {
        plot.hooks.setScale = [(self, key) => key === "x" && this.follow(self)];
        plot.hooks.setSelect = [(self) => { if (self.select.width > 0) this.isZoomed = true; }];
        plot.over.addEventListener("dblclick", () => { this.isZoomed = false; });
      }
    }

    width() { return Math.max(240, Math.floor(this.container.clientWidth)); }

    resize() {
      const width = this.width();
      for (const plot of this.plots) if (plot.width !== width) plot.setSize({ width, height: plot.height });
    }

    // Zooming one chart zooms the other.
    follow(source) {
      const { min, max } = source.scales.x;
      for (const plot of this.plots) {
        if (plot !== source && (plot.scales.x.min !== min || plot.scales.x.max !== max)) plot.setScale("x", { min, max });
      }
    }

    // What was zoomed into stays in view while readings arrive; a double click shows all again.
    set(data, episodes, words) {
      this.data = data;
      this.episodes = episodes;
      this.holder.setAttribute("aria-label", words);
      this.fill();
    }

    fill() {
      const { time, value, forecast, lower, upper, score, level } = this.data;
      const columns = [[time, upper, lower, forecast, value], [time, score, level]];
      for (const [i, plot] of this.plots.entries()) {
        const { min, max } = plot.scales.x;
        plot.setData(columns[i], !this.isZoomed);
        if (this.isZoomed) plot.setScale("x", { min, max });
      }
    }

    zoom(min, max) {
      this.isZoomed = true;
      for (const plot of this.plots) plot.setScale("x", { min, max });
    }

    // Colours are read when a plot is made: other ones need new plots.
    recolour() {
      for (const plot of this.plots) plot.destroy();
      this.build();
      this.isZoomed = false;
      if (this.data !== null) this.fill();
    }
  }

  // The colours follow the machine's until a button says otherwise.
  function theme(button, onChange) {
    const root = document.documentElement;
    const prefers = matchMedia("(prefers-color-scheme: dark)");
    let chosen = null;
    try { chosen = localStorage.getItem("foretell-theme"); } catch { /* storage may be forbidden */ }
    const apply = () => {
      const now = chosen || (prefers.matches ? "dark" : "light");
      root.dataset.theme = now;
      button.textContent = now === "dark" ? "Light" : "Dark";
      button.setAttribute("aria-label", `Switch to ${now === "dark" ? "light" : "dark"} colours`);
      onChange();
    };
    button.addEventListener("click", () => {
      chosen = root.dataset.theme === "dark" ? "light" : "dark";
      try { localStorage.setItem("foretell-theme", chosen); } catch { /* it lasts for this page, then */ }
      apply();
    });
    prefers.addEventListener("change", apply);
    apply();
  }

  // Keeps one element per key, in order, and leaves those that stay where they are: focus is not lost.
  function keyed(parent, items, key, make, update) {
    const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
    let before = null;
    for (const item of items) {
      const name = key(item);
      let child = old.get(name);
      if (child === undefined) { child = make(item); child.dataset.key = name; } else old.delete(name);
      update(child, item);
      const place = before === null ? parent.firstChild : before.nextSibling;
      if (place !== child) parent.insertBefore(child, place);
      before = child;
    }
    for (const child of old.values()) child.remove();
  }

  function rows(body, data, n) {
    const made = [];
    for (let i = data.time.length - 1; i >= 0 && made.length < n; i--) {
      if (data.value[i] === null) continue;
      const row = node("tr");
      const interval = data.lower[i] === null ? "–" : `${number(data.lower[i])} … ${number(data.upper[i])}`;
      for (const text of [clock(data.time[i]), number(data.value[i]), number(data.forecast[i]), interval]) row.append(node("td", "", text));
      made.push(row);
    }
    body.replaceChildren(...made);
  }

  // From when to when an episode lasted, seconds; to is null while it is open.
  const extent = (episode) => ({ from: Date.parse(episode.opened_at) / 1000, to: episode.event === "close" ? Date.parse(episode.at) / 1000 : null });

  function words(episode) {
    const end = episode.event === "open" ? "" : `, over ${moment(episode.at)}${episode.reason === "drift" ? " (taken as the new normal)" : ""}`;
    return `noticed ${moment(episode.opened_at)}${end}; score ${number(episode.peak_score)} against a level of ${number(episode.level)}; id ${episode.episode}`;
  }

  // Keys of the list of streams: "/" goes to the search, arrows from one to the next.
  function keys(event) {
    const find = document.getElementById("find");
    if (event.key === "/" && !event.target.matches("input, select, textarea")) {
      event.preventDefault();
      find.focus();
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && event.target.matches(".stream, #find")) {
      const buttons = [...document.querySelectorAll(".stream")];
      const at = buttons.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1);
      const next = at < 0 ? find : buttons[Math.min(at, buttons.length - 1)];
      if (next) { event.preventDefault(); next.focus(); }
    } else if (event.key === "Escape" && event.target === find) {
      find.value = "";
      find.dispatchEvent(new Event("input"));
    }
  }

  return { Chart, clock, extent, keys, words, keyed, moment, newSpark, node, number, rows, spark, theme };
})();
