(() => {
  "use strict";
  const root = document.documentElement;
  const all = (selector, at = document) => [...at.querySelectorAll(selector)];
  const charts = new Map(); // id → {declaration, data, section, view}

  /** Packed columns → one object per row. */
  function unpack({ columns, levels, rows }) {
    return rows.map((row) =>
      Object.fromEntries(
        columns.map((name, i) => [name, levels[name] && row[i] !== null ? levels[name][row[i]] : row[i]]),
      ),
    );
  }

  /** Vega's look from the page's own tokens, as they stand on an element. */
  function look(element) {
    const style = getComputedStyle(element);
    const token = (name) => style.getPropertyValue(name).trim();
    const [ink, soft, line, grid] = ["--ink", "--soft", "--line", "--grid"].map(token);
    return {
      background: "transparent",
      font: getComputedStyle(document.body).getPropertyValue("--font").trim(),
      view: { stroke: null },
      range: { category: [0, 1, 2, 3, 4, 5, 6, 7, 8].map((i) => token(`--c${i}`)) },
      title: { color: soft, fontSize: 12, fontWeight: 400, offset: 10, anchor: "start", frame: "group" },
      axis: {
        labelColor: soft, titleColor: soft, gridColor: grid, domainColor: line, tickColor: line, labelFontSize: 11.5,
        titleFontSize: 11.5, titleFontWeight: 400, titlePadding: 8,
      },
      legend: {
        labelColor: ink, labelFontSize: 11.5, labelLimit: 220, orient: "top", columns: 3, symbolSize: 80,
        symbolOpacity: 1, symbolFillColor: soft, symbolStrokeColor: soft,
      },
    };
  }

  /** The declaration with its data. On the page the buttons are the methods' legend; a file has it in the chart. */
  function declare(chart, inFile) {
    const spec = structuredClone(chart.declaration);
    const { metric, shown } = state(chart.section);
    spec.datasets = { rows: chart.data };
    spec.description = chart.title;
    spec.params = [{ name: "metric", value: metric }, { name: "shown", value: shown }];
    if (inFile) {
      spec.width = 560;
      spec.padding = 12;
      return spec;
    }
    if (!chart.byMetric) delete spec.title; // the heading says it
    for (const { encoding = {} } of [spec, ...spec.layer])
      for (const [channel, definition] of Object.entries(encoding)) {
        const needed = channel === "shape" && definition.field === "split";
        if (["color", "shape", "strokeDash"].includes(channel) && !needed) definition.legend = null;
      }
    return spec;
  }

  const options = (config) => ({
    mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false, logLevel: 1, config,
    tooltip: { theme: "page", disableDefaultStyle: true },
  });

  function state(section) {
    const pressed = all(".method[aria-pressed=true]", section);
    return { metric: section.dataset.metric, shown: pressed.map((button) => button.dataset.label) };
  }

  async function draw(chart) {
    chart.view?.finalize();
    const { view } = await vegaEmbed(chart.element, declare(chart, false), options(look(root)));
    chart.view = view;
  }

  async function drawAll() {
    for (const chart of charts.values()) await draw(chart);
  }

  /** Bring the section's charts and tables to its metric and visible methods. */
  async function update(section) {
    const { metric, shown } = state(section);
    for (const table of all("[data-metric].scroll", section)) table.hidden = table.dataset.metric !== metric;
    for (const details of all(".numbers[open]", section)) fill(details);
    for (const chart of charts.values())
      if (chart.section === section && chart.view)
        await chart.view.signal("metric", metric).signal("shown", shown).runAsync();
  }

  /** A light chart with its legend, for a paper. */
  async function save(button) {
    const chart = charts.get(button.dataset.chart);
    const light = Object.assign(document.createElement("div"), { hidden: true });
    light.dataset.theme = "light";
    document.body.append(light);
    const config = { ...look(light), background: "white" };
    const { view } = await vegaEmbed(light, declare(chart, true), options(config));
    const url = URL.createObjectURL(new Blob([await view.toSVG()], { type: "image/svg+xml" }));
    const name = `${button.dataset.name} ${chart.byMetric ? state(chart.section).metric : ""}`.trim();
    const download = `${name.replace(/[^\w.-]+/g, "-")}.svg`;
    Object.assign(document.createElement("a"), { href: url, download }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
    view.finalize();
    light.remove();
  }

  /** Text with the decimals that the page's tables would choose for the largest of the values. */
  function formatter(values) {
    const largest = Math.max(0, ...values.map(Math.abs));
    const plain = largest === 0 || (largest >= 0.1 && largest < 10);
    const digits = plain ? 3 : Math.min(7, Math.max(1, 3 - Math.floor(Math.log10(largest))));
    return (value) => value.toFixed(digits).replace("-", "−");
  }

  function element(tag, text, at, scope) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (scope) made.scope = scope;
    at.append(made);
    return made;
  }

  /** The numbers behind a chart, for the chosen metric. */
  function fill(details) {
    const chart = charts.get(details.dataset.chart);
    const { metric } = state(chart.section);
    const across = details.dataset.across;
    const rows = chart.data.filter((row) => row.metric === metric);
    const number = formatter(rows.filter((row) => row.mean !== null).map((row) => row.mean));
    const columns = [...new Set(rows.map((row) => row[across]))];
    if (typeof columns[0] === "number") columns.sort((a, b) => a - b);
    details.querySelector(".scroll")?.remove();
    const box = element("div", undefined, details);
    Object.assign(box, { className: "scroll", tabIndex: 0, role: "region", ariaLabel: `Numbers of ${chart.title}` });
    const table = element("table", undefined, box);
    element("caption", `${chart.title}: ${metric}, mean ± standard deviation`, table);
    const head = element("tr", undefined, element("thead", undefined, table));
    const methods = [...new Set(rows.map((row) => row.method))];
    const upright = methods.length < columns.length; // the longer list runs down
    const [down, over] = upright ? [columns, methods] : [methods, columns];
    element("th", upright ? across : "method", head, "col");
    for (const title of over) element("th", title, head, "col");
    const body = element("tbody", undefined, table);
    for (const line of down) {
      const tr = element("tr", undefined, body);
      element("th", line, tr, "row");
      for (const title of over) {
        const [method, place] = upright ? [title, line] : [line, title];
        const row = rows.find((candidate) => candidate.method === method && candidate[across] === place);
        const shown = row?.mean == null ? (row ? "undefined" : "—") : number(row.mean);
        element("td", row?.sd == null ? shown : `${shown} ± ${number(row.sd)}`, tr);
      }
    }
  }

  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

  function label() {
    const button = document.getElementById("theme");
    button.textContent = "Dark theme";
    button.setAttribute("aria-pressed", String(isDark()));
  }

  for (const box of all(".chart")) {
    const { spec, data } = JSON.parse(document.getElementById(`${box.id}-data`).textContent);
    charts.set(box.id, {
      element: box, title: box.dataset.title, declaration: spec, data: unpack(data), section: box.closest(".set"),
      byMetric: data.columns.includes("metric"),
    });
  }
  for (const hidden of all("#theme, .controls, .save, .numbers")) hidden.hidden = false;
  for (const select of all(".metric"))
    select.addEventListener("change", () => {
      const section = select.closest(".set");
      section.dataset.metric = select.value;
      update(section);
    });
  for (const button of all(".method"))
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      update(button.closest(".set"));
    });
  for (const button of all(".save")) button.addEventListener("click", () => save(button));
  for (const details of all(".numbers")) details.addEventListener("toggle", () => details.open && fill(details));
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    label();
    drawAll();
  });
  system.addEventListener("change", () => {
    label();
    drawAll();
  });
  // A browser may restore a select's value after a reload.
  for (const select of all(".metric")) select.closest(".set").dataset.metric = select.value;
  label();
  drawAll().then(() => {
    for (const section of all(".set")) update(section);
    root.dataset.drawn = "true";
  });
})();
