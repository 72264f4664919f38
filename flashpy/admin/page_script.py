"""The script of the status page."""

SCRIPT = """"use strict";
(() => {
  const PERIOD = 1000, PATIENCE = 3;
  const STATES = { handshake: "a TLS handshake", head: "a request", idle: "the next request", working: "a job",
    sending: "the client, to read", lingering: "the client, to close", open: "open" };
  const TROUBLES = { connections_refused: "Connections refused", connections_shed: "Connections closed for others",
    requests_limited: "Requests over a rate", handshakes_failed: "TLS handshakes failed", timeouts: "Time-outs",
    jobs_late: "Jobs that came too late", jobs_refused: "Codings and passwords refused",
    helper_deaths: "Helpers that died", descriptors_exhausted: "Times without descriptors",
    mispredictions: "Windows not resident after all", truncated: "Files that became shorter",
    faults: "Faults" };
  const CACHES = { pathname: "Pathnames", header: "Headers", file: "Small files", descriptor: "Open files",
    coded: "Coded on the fly" };
  const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
  let failures = 0;

  const find = (id) => document.getElementById(id);
  const make = (name, text, kind) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (kind) element.className = kind;
    return element;
  };
  const put = (id, text) => { const element = find(id); if (element.textContent !== text) element.textContent = text; };

  const digits = (value, places) => value.toLocaleString("en", { minimumFractionDigits: places,
    maximumFractionDigits: places });
  const count = (value) => value < 10 && value % 1 ? digits(value, 1) : digits(Math.round(value), 0);
  function size(bytes) {
    let unit = 0;
    while (bytes >= 1000 && unit < UNITS.length - 1) { bytes /= 1024; unit += 1; }
    return [digits(bytes, unit && bytes < 100 ? 1 : 0), UNITS[unit]];
  }
  function time(seconds) {
    if (seconds === null || seconds === undefined) return ["–", ""];
    if (seconds >= 1) return [digits(seconds, seconds < 10 ? 2 : 1), "s"];
    if (seconds >= 0.001) return [digits(seconds * 1e3, seconds < 0.1 ? 1 : 0), "ms"];
    return [digits(seconds * 1e6, seconds < 1e-5 ? 1 : 0), "µs"];
  }
  const words = (pair) => pair.join(pair[1] ? "\\u202f" : "");
  const percent = (part) => part === null ? "–" : (part >= 0.99995 ? "100" : digits(100 * part, 1)) + "\\u202f%";
  const standing = (node) => node.standing === "warming" ? "warming " + count(node.loaded) + "/" + count(node.share)
    : node.standing;
  function ago(seconds) {
    if (seconds < 60) return digits(Math.floor(seconds), 0) + " s";
    if (seconds < 3600) return digits(Math.floor(seconds / 60), 0) + " min";
    if (seconds < 172800) return digits(Math.floor(seconds / 3600), 0) + " h";
    return digits(Math.floor(seconds / 86400), 0) + " days";
  }

  function path(values, scale) {
    const step = 300 / Math.max(values.length - 1, 59), from = 300 - step * (values.length - 1);
    let drawn = "", open = false;
    values.forEach((value, index) => {
      if (value === null) { open = false; return; }
      drawn += (open ? "L" : "M") + (from + index * step).toFixed(1) + " " + (58 - 52 * scale(value)).toFixed(1);
      open = true;
    });
    return drawn;
  }
  function draw(id, first, second, logarithmic) {
    const all = first.concat(second || []).filter((value) => value !== null);
    const most = Math.max(...all, 0), least = Math.min(...all.filter((value) => value > 0), most);
    const low = Math.log(least / 2 || 1), high = Math.log(most || 1);
    const scale = logarithmic
      ? (value) => value > 0 && high > low ? (Math.log(value) - low) / (high - low) : 0
      : (value) => most ? value / most : 0;
    const chart = find(id + "-chart"), line = path(first, scale);
    chart.querySelector(".line").setAttribute("d", line);
    chart.querySelector(".second").setAttribute("d", second ? path(second, scale) : "");
    const whole = path(first.map((value) => value === null ? 0 : value), (value) => Math.max(0, scale(value)));
    const step = 300 / Math.max(first.length - 1, 59), from = 300 - step * (first.length - 1);
    chart.querySelector(".area").setAttribute("d", whole ? whole + "L300 60L" + from.toFixed(1) + " 60Z" : "");
    return most;
  }

  function cell(content, kind) {
    const td = make("td", content instanceof Node ? undefined : content, kind);
    if (content instanceof Node) td.append(content);
    return td;
  }
  function fill(id, rows, wide, nothing) {
    const body = document.createDocumentFragment();
    for (const row of rows) {
      const tr = make("tr");
      row.forEach((content, index) => tr.append(cell(content, wide.includes(index) ? "wide" : "")));
      body.append(tr);
    }
    if (!rows.length) {
      const td = make("td", nothing, "empty");
      td.colSpan = find(id).querySelectorAll("th").length;
      const tr = make("tr");
      tr.append(td);
      body.append(tr);
    }
    find(id).tBodies[0].replaceChildren(body);
  }
  function meter(part) {
    const box = make("span", undefined, "meter"), bar = make("i");
    bar.style.width = 100 * Math.min(1, part) + "%";
    box.append(bar);
    return box;
  }
  function metered(text, part) {
    const both = document.createDocumentFragment();
    both.append(text, meter(part));
    return both;
  }
  const nothing = (text) => make("p", text, "empty");
  function bars(id, rows) {
    const most = Math.max(...rows.map((row) => row[1]), 1);
    find(id).replaceChildren(...rows.map(([name, value, kind]) => {
      const row = make("div"), bar = make("dd", undefined, "bar " + (kind || "")), part = make("i");
      part.style.width = 100 * value / most + "%";
      bar.append(part);
      row.append(make("dt", name, value ? "" : "zero"), bar, make("dd", count(value), value ? "" : "zero"));
      return row;
    }));
  }

  function show(view) {
    const rates = view.rates, charts = view.charts;
    put("version", view.version);
    put("facts", view.addresses.concat("up " + ago(view.uptime)).join(" · "));
    const pill = find("state");
    const [text, kind] = view.phase !== "running" ? ["Draining", "warn"]
      : !view.serving ? ["No worker serves", "bad"]
      : view.serving < view.wanted ? [view.serving + " of " + view.wanted + " workers", "warn"] : ["Serving", "good"];
    put("state", text);
    pill.className = "pill " + kind;
    document.title = count(rates.requests) + "/s · flashpy";

    put("requests", count(rates.requests));
    put("requests-note", rates.hit_rate === null ? "none lately" : percent(rates.hit_rate) + " at hand");
    put("requests-most", "max " + count(draw("requests", charts.requests)));
    const [median, unit] = time(rates.answers.p50);
    put("latency", median);
    put("latency-unit", unit + (unit ? " median" : ""));
    const note = find("latency-note");
    note.replaceChildren(make("span", undefined, "key"), "p99 " + words(time(rates.answers.p99)));
    put("latency-most", rates.waits.p50 === null ? "" : "after a job " + words(time(rates.waits.p50)));
    draw("latency", charts.p50, charts.p99, true);
    const [bytes, of] = size(rates.sent_bytes);
    put("sent", bytes);
    put("sent-unit", of + "/s");
    put("sent-note", words(size(view.counters.sent_bytes || 0)) + " in all");
    put("sent-most", "max " + words(size(draw("sent", charts.sent_bytes))) + "/s");
    const open = Object.values(view.connections).reduce((sum, value) => sum + value, 0);
    put("connections", count(open));
    put("connections-note", count(rates.connections) + " new a second");
    put("connections-most", "max " + count(draw("connections", charts.connections)));

    const cluster = view.cluster;
    find("nodes").closest("section").hidden = !cluster;
    if (cluster) {
      const state = cluster.state;
      put("nodes-note", state.policy + " · " + count(state.active) + " of " + count(state.most) + " at work, " +
        count(state.waiting) + " wait · " + count(state.targets) + " targets, " +
        count(state.replicated) + " of them at several nodes, " + words(size(state.mapping_bytes)));
      fill("nodes", cluster.nodes.map((node) => [node.name, standing(node.state), count(node.state.load),
        count(node.state.targets), count(node.handed), count(node.relayed), count(node.fetched),
        percent(node.predicted), words(time(node.state.delay || null)), count(node.state.handed),
        count(node.state.returned)]), [9, 10],
        "There is none.");
    }

    fill("caches", view.caches.map((cache) => {
      const state = cache.state, used = Math.max(state.most_bytes ? state.bytes / state.most_bytes : 0,
        state.most_entries ? state.entries / state.most_entries : 0);
      return [CACHES[cache.name] || cache.name, percent(cache.hit_rate), metered(percent(used), used),
        count(state.entries), state.most_bytes ? words(size(state.bytes)) : "–", count(state.evictions)];
    }), [3, 5], "Nothing is cached.");
    const statuses = Object.entries(view.statuses);
    bars("statuses", statuses.map(([code, value]) =>
      [code, value, code >= "500" ? "bad" : code >= "400" ? "second" : ""]));
    if (!statuses.length) find("statuses").append(nothing("None yet."));

    const pools = Object.entries(view.pools).map(([name, pool]) =>
      (name === "cpu" ? "for the processor " : "for disks ") + pool.busy + " of " + pool.helpers + " at work" +
      (pool.queued ? ", " + count(pool.queued) + " jobs wait" : ""));
    const residency = view.residency === null ? [] : [percent(view.residency) + " of windows resident"];
    put("devices-note", pools.concat(residency).join(" · "));
    fill("devices", view.devices.map((device) => [device.name, count(device.jobs),
      device.state.working + " of " + device.state.helpers, count(device.state.queued), words(time(device.wait)),
      words(time(device.service)), words(time(device.state.longest_wait))]), [4, 6], "No job has been needed.");
    bars("states", Object.entries(STATES).filter(([state]) => state in view.connections).map(([state, name]) =>
      [name, view.connections[state]]));

    fill("stalls", view.stalls.worst.map((stall) => [words(time(stall.seconds)), stall.cause, ago(stall.ago) + " ago"]),
      [], "None of 2 ms and more.");
    const longest = view.stalls.counts.findLastIndex((value) => value > 0);
    bars("buckets", view.stalls.counts.slice(1, longest + 1).map((value, index) => {
      const bound = view.stalls.bounds[index + 1];
      return [bound ? "to " + words(time(bound)) : "longer", value, (bound || 9) > 0.05 ? "bad" : ""];
    }));
    if (longest < 1) find("buckets").append(nothing("No turn has taken 2 ms."));
    const stage = (worker) => worker.stage === "serving" ? "" : ", " + worker.stage;
    fill("workers", view.workers.map((worker) => [worker.number + stage(worker),
      count(worker.requests_per_second), count(worker.connections), percent(worker.cpu),
      words(time(worker.longest_stall || null)), count(worker.requests), String(worker.pid)]),
      [4, 6], "There is none.");
    const troubles = Object.entries(TROUBLES).filter(([name]) => view.counters[name]).map(([name, title]) => {
      const row = make("div");
      row.append(make("dt", title), make("dd", count(view.counters[name])));
      return row;
    });
    find("troubles").replaceChildren(...(troubles.length ? troubles : [nothing("Nothing has gone wrong.")]));
    document.documentElement.dataset.updates = String(Number(document.documentElement.dataset.updates || 0) + 1);
  }

  async function update() {
    try {
      const answer = await fetch("/-/status.json", { cache: "no-store" });
      if (answer.ok) { show(await answer.json()); failures = 0; } else failures += 1;
    } catch { failures += 1; }
    if (failures >= PATIENCE) {
      put("state", "No answer");
      find("state").className = "pill bad";
    }
  }
  async function run() {
    if (!document.hidden) await update();
    setTimeout(run, PERIOD);
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) update(); });
  run();
})();
"""
