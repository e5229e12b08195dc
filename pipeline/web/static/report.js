// The report of a replay: everything it shows is in the file.
"use strict";

(() => {
  const MARGIN_S = 0.5; // of an episode's length, shown on either side of it
  const { Chart, extent, keyed, keys, moment, newSpark, node, number, spark, theme, words } = Foretell;
  const by = (id) => document.getElementById(id);
  const report = JSON.parse(by("data").textContent);
  const streams = new Map(report.streams.map((stream) => [stream.name, stream]));
  let chosen = "", chart = null;

  for (const stream of streams.values()) {
    const { forecast, half } = stream.data;
    const end = (sign) => forecast.map((value, i) => (value === null || half[i] === null ? null : value + sign * half[i]));
    Object.assign(stream.data, { lower: end(-1), upper: end(1) });
    stream.episodes = report.episodes.filter((each) => each.stream === stream.name);
  }

  function showStreams() {
    const find = by("find").value.trim().toLowerCase();
    const shown = report.streams.filter((stream) => stream.name.toLowerCase().includes(find));
    keyed(by("stream-list"), shown, (stream) => stream.name, newRow, (item, stream) => {
      item.firstChild.setAttribute("aria-current", String(stream.name === chosen));
    });
  }

  function newRow(stream) {
    const item = node("li"), button = node("button", "stream"), svg = newSpark(), n = stream.episodes.length;
    button.type = "button";
    const verdict = `${stream.n} readings · ${n} episode${n === 1 ? "" : "s"}${stream.findings.length ? ", findings" : ""}`;
    button.append(node("span", "name", stream.name), node("span", `verdict ${n ? "alert" : stream.findings.length ? "unfit" : "ok"}`, verdict), svg);
    button.addEventListener("click", () => choose(stream.name));
    spark(svg, sparse(stream.data));
    item.append(button);
    return item;
  }

  // Every so many readings: a sparkline has no room for more.
  function sparse(data) {
    const step = Math.max(1, Math.floor(data.time.length / 120));
    return Object.fromEntries(["time", "value", "lower", "upper"].map((name) => [name, data[name].filter((_, i) => i % step === 0)]));
  }

  function choose(name, episode = null) {
    chosen = name;
    const stream = streams.get(name);
    by("detail-title").textContent = name;
    const thinned = stream.data.time.length < stream.n ? ` (${stream.data.time.length} of them are drawn: the extremes, and all about episodes)` : "";
    by("detail-verdict").textContent = `${stream.n} readings${thinned}, ${stream.episodes.length} episodes.`;
    if (chart === null) Foretell.shown = chart = new Chart(by("chart"), { hasScores: true });
    chart.isZoomed = false;
    chart.set(stream.data, stream.episodes.map(extent), `Chart of ${name}: ${by("detail-verdict").textContent}`);
    if (episode !== null) {
      const { from, to } = extent(episode), last = stream.data.time[stream.data.time.length - 1];
      const margin = Math.max(((to ?? last) - from) * MARGIN_S, 3600);
      chart.zoom(from - margin, (to ?? last) + margin);
    }
    by("findings").replaceChildren(...stream.findings.map((text) => node("li", "", text)));
    showStreams();
    if (matchMedia("(max-width: 50rem)").matches) by("detail").scrollIntoView();
  }

  function newEpisode(episode) {
    const item = node("li", "episode open"), head = node("h3"), link = node("button", "link", episode.stream);
    link.type = "button";
    link.addEventListener("click", () => choose(episode.stream, episode));
    head.append(link, document.createTextNode(" "), node("span", "severity alert", episode.severity));
    const evidence = node("details");
    evidence.append(node("summary", "", "Evidence"), node("p", "text", episode.text));
    item.append(head, node("p", "when", words(episode)), node("p", "summary-line", episode.summary), evidence);
    return item;
  }

  by("site").textContent = `report of ${report.site}`;
  by("figures").textContent = report.summary;
  by("more").textContent = report.n_left_out ? `${report.n_left_out} further streams without episodes are left out.` : "";
  by("no-episodes").hidden = report.episodes.length > 0;
  keyed(by("episode-list"), report.episodes, (each) => each.episode, newEpisode, () => {});
  by("find").addEventListener("input", showStreams);
  document.addEventListener("keydown", keys);
  theme(by("theme"), () => chart && chart.recolour());
  if (report.episodes.length) choose(report.episodes[0].stream);
  else if (report.streams.length) choose(report.streams[0].name);
  showStreams();
})();
