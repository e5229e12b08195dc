// The status page: asks the daemon once a second while it is looked at, and shows what it says.
"use strict";

(() => {
  const POLL_MS = 1000, PATIENCE_MS = 8000, TABLE_ROWS = 20;
  const { Chart, extent, keyed, keys, moment, newSpark, node, number, rows, spark, theme, words } = Foretell;
  const by = (id) => document.getElementById(id);
  const sparks = new Map();
  let revision = -1, chosen = fromAddress(), isChosenByHand = chosen !== "", chart = null, find = "", isAsking = false;
  let nOpen = null, timer = 0, charted = "";

  function fromAddress() {
    return new URLSearchParams(location.hash.slice(1)).get("stream") || "";
  }

  async function ask(path) {
    const answer = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" });
    if (answer.status === 404) return null;
    if (!answer.ok) throw new Error(`${answer.status}: ${(await answer.text()).slice(0, 200)}`);
    return answer.json();
  }

  async function turn() {
    clearTimeout(timer);
    if (isAsking || document.hidden) return;
    isAsking = true;
    try {
      const fleet = await ask(`/page/fleet.json?since=${revision}&find=${encodeURIComponent(find)}`);
      if (!isChosenByHand) follow(fleet.streams);
      showFleet(fleet);
      if (chosen) showStream(await ask(`/page/stream.json?name=${encodeURIComponent(chosen)}`));
    } catch (error) {
      state("warn", `no answer from the daemon (${error.message})`);
    } finally {
      isAsking = false;
      timer = setTimeout(turn, POLL_MS);
    }
  }

  function state(rank, text) {
    const pill = by("state");
    pill.className = `pill ${rank}`;
    if (pill.textContent !== text) pill.textContent = text;
  }

  function showFleet(fleet) {
    if (fleet.revision < revision) sparks.clear(); // the daemon started anew
    revision = fleet.revision;
    by("site").textContent = fleet.site;
    document.title = `${fleet.n_open ? `(${fleet.n_open}) ` : ""}Foretell ${fleet.site}`;
    state(fleet.ready ? "ok" : "warn", fleet.why);
    by("figures").textContent = `${fleet.n_streams} streams, ${fleet.n_open} in an episode, ${fleet.n_unfit} with findings; ${moment(fleet.at)} UTC`;
    by("more").textContent = fleet.n_streams > fleet.streams.length && !find
      ? `The worst ${fleet.streams.length} of ${fleet.n_streams}; find others by name.` : find && !fleet.streams.length ? "None is called so." : "";
    showStreams(fleet.streams);
    showEpisodes(fleet.episodes);
    if (nOpen !== null && nOpen !== fleet.n_open) by("announce").textContent = `${fleet.n_open} open episodes`;
    nOpen = fleet.n_open;
  }

  // Until somebody chooses a stream, one that is in an episode is shown, or the worst.
  function follow(streams) {
    const shown = streams.find((row) => row.name === chosen);
    if (streams.length && !(shown && (shown.rank === "alert" || streams[0].rank !== "alert"))) chosen = streams[0].name;
  }

  function showStreams(streams) {
    const names = new Set(streams.map((row) => row.name));
    for (const name of sparks.keys()) if (!names.has(name)) sparks.delete(name);
    keyed(by("stream-list"), streams, (row) => row.name, newRow, (item, row) => {
      const [button] = item.children;
      const [name, verdict, svg] = button.children;
      name.textContent = row.name;
      verdict.className = `verdict ${row.rank}`;
      verdict.textContent = `${number(row.value)} · ${row.verdict}`;
      button.setAttribute("aria-current", String(row.name === chosen));
      if (row.spark) { sparks.set(row.name, row.spark); spark(svg, row.spark); }
    });
  }

  function newRow(row) {
    const item = node("li"), button = node("button", "stream");
    button.type = "button";
    button.append(node("span", "name"), node("span", "verdict"), newSpark());
    button.addEventListener("click", () => choose(row.name));
    item.append(button);
    if (sparks.has(row.name)) spark(button.lastChild, sparks.get(row.name));
    return item;
  }

  function choose(name) {
    chosen = name;
    isChosenByHand = true;
    history.replaceState(null, "", `#${new URLSearchParams({ stream: name })}`);
    for (const button of document.querySelectorAll(".stream")) {
      button.setAttribute("aria-current", String(button.firstChild.textContent === name));
    }
    if (matchMedia("(max-width: 50rem)").matches) by("detail").scrollIntoView();
    turn();
  }

  function showStream(row) {
    if (row === null) {
      by("detail-title").textContent = chosen;
      by("detail-verdict").textContent = "This stream is not watched (any more).";
      return;
    }
    if (row.name !== chosen) return; // another one was chosen meanwhile
    by("detail-title").textContent = row.name;
    const verdict = by("detail-verdict");
    verdict.className = row.rank;
    const foretold = row.forecast === null ? "" : ` Foretold by ${row.forecaster}: ${number(row.forecast)}, between ${number(row.lower)} and ${number(row.upper)}.`;
    const score = row.score === null ? "" : ` Score ${number(row.score)}, alert level ${number(row.level)}.`;
    verdict.textContent = `${number(row.value)} at ${moment(row.at)} UTC: ${row.verdict}.${foretold}${score}`;
    if (row.history) {
      if (chart === null) Foretell.shown = chart = new Chart(by("chart"));
      if (row.name !== charted) { charted = row.name; chart.isZoomed = false; }
      const shaded = row.episodes.map(extent);
      chart.set(row.history, shaded, `Chart of ${row.name}: ${verdict.textContent} ${shaded.length} episodes.`);
      rows(by("table"), row.history, TABLE_ROWS);
    }
  }

  function showEpisodes(episodes) {
    by("no-episodes").hidden = episodes.some((each) => each.event === "open");
    keyed(by("episode-list"), episodes, (each) => each.episode, newEpisode, updateEpisode);
  }

  function newEpisode(episode) {
    const item = node("li", "episode");
    const head = node("h3"), link = node("button", "link", episode.stream);
    link.type = "button";
    link.addEventListener("click", () => choose(episode.stream));
    head.append(link, document.createTextNode(" "), node("span", "severity"));
    const evidence = node("details");
    evidence.append(node("summary", "", "Evidence"), node("p", "text"));
    item.append(head, node("p", "when"), node("p", "summary-line"), node("p", "word"), evidence, newButtons(episode));
    return item;
  }

  function newButtons({ episode, stream }) {
    const buttons = node("div", "buttons");
    const add = (className, text, word) => {
      const button = node("button", className, text);
      button.type = "button";
      button.setAttribute("aria-label", `${text}: ${stream}`);
      button.addEventListener("click", () => say({ word, id: episode, ...(word === "expected" ? { until: hours.value } : {}) }));
      buttons.append(button);
    };
    const hours = node("select");
    hours.setAttribute("aria-label", `Expected for how long: ${stream}`);
    for (const [value, text] of [["1h", "1 hour"], ["8h", "8 hours"], ["24h", "a day"], ["7d", "a week"]]) {
      const option = node("option", "", text);
      option.value = value;
      hours.append(option);
    }
    add("ack", "Acknowledge", "ack");
    add("false", "False alarm", "false");
    add("true", "It is real", "true");
    add("expected", "Expected for", "expected");
    buttons.append(hours);
    add("undo", "Undo the last", "undo");
    return buttons;
  }

  function updateEpisode(item, episode) {
    const isOpen = episode.event === "open";
    item.className = `episode ${isOpen ? "open" : "over"}`;
    const severity = item.querySelector(".severity");
    severity.textContent = isOpen ? episode.severity : `${episode.severity}, over`;
    severity.className = `severity ${isOpen ? "alert" : ""}`;
    setText(item, ".when", words(episode));
    setText(item, ".summary-line", episode.summary || `It began before this daemon started: ${String(episode.view).replaceAll("_", " ")}.`);
    setText(item, ".text", episode.text || "These words are not kept over a restart; the alert that was published has them.");
    setText(item, ".word", heard(episode));
    item.querySelector(".ack").hidden = item.querySelector(".expected").hidden = item.querySelector("select").hidden = !isOpen;
    item.querySelector(".ack").disabled = Boolean(episode.acknowledged_by);
    item.querySelector(".undo").hidden = !(episode.said || []).some((each) => !each.undone);
  }

  // What operators said of an episode, and what follows from it.
  function heard(episode) {
    const found = [];
    if (episode.acknowledged_by) found.push(`seen by ${episode.acknowledged_by}`);
    if (episode.judged) found.push(episode.judged === "false" ? "judged a false alarm" : "judged real");
    if (episode.expected_until) found.push(`expected until ${moment(episode.expected_until)}`);
    if (episode.held) found.push(`held back (${episode.held.replaceAll("_", " ")})`);
    const text = found.join("; ");
    return text ? `${text[0].toUpperCase()}${text.slice(1)}.` : "";
  }

  // Says a word of an alert. The token stands in a header that no other site's page can send.
  async function say(word) {
    const token = memory("foretell-token"), name = memory("foretell-by");
    if (!token) {
      tellSaid("warn", "Enter the operators' token first.");
      by("token").focus();
      return;
    }
    try {
      const answer = await fetch("/alerts/words", {
        method: "POST", headers: { "Content-Type": "application/json", "X-Foretell-Token": token },
        body: JSON.stringify({ ...word, ...(name ? { by: name } : {}) }), signal: AbortSignal.timeout(PATIENCE_MS),
      });
      const heardBack = await answer.json();
      if (answer.ok) tellSaid("ok", `Heard: ${heardBack.said.word} ${heardBack.said.target}.`);
      else tellSaid("warn", heardBack.text || `refused (${answer.status})`);
      turn();
    } catch (error) {
      tellSaid("warn", `not heard (${error.message})`);
    }
  }

  function tellSaid(rank, text) {
    by("said").className = rank;
    by("said").textContent = text;
  }

  // What is kept until the tab is closed.
  function memory(key, value) {
    try {
      if (value !== undefined) sessionStorage.setItem(key, value);
      return sessionStorage.getItem(key) || "";
    } catch { return ""; }
  }

  function setText(item, selector, text) {
    const found = item.querySelector(selector);
    if (found.textContent !== text) found.textContent = text;
  }

  by("operator").addEventListener("submit", (event) => {
    event.preventDefault();
    memory("foretell-token", by("token").value);
    memory("foretell-by", by("by").value.trim());
    by("token").value = "";
    tellSaid("ok", memory("foretell-token") ? "The token is kept until this tab is closed." : "No token is kept.");
  });
  by("by").value = memory("foretell-by");
  by("find").addEventListener("input", (event) => { find = event.target.value.trim(); revision = -1; turn(); });
  document.addEventListener("keydown", keys);
  document.addEventListener("visibilitychange", turn);
  addEventListener("hashchange", () => { const name = fromAddress(); if (name && name !== chosen) choose(name); });
  theme(by("theme"), () => chart && chart.recolour());
  turn();
})();
