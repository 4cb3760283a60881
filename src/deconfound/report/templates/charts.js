/** Vega's look from the page's own tokens, as they stand on an element. */
function look(element) {
  const style = getComputedStyle(element);
  const token = (name) => style.getPropertyValue(name).trim();
  const [ink, soft, line, grid, paper] = ["--ink", "--soft", "--line", "--grid", "--surface"].map(token);
  return {
    background: "transparent",
    font: getComputedStyle(document.body).getPropertyValue("--font").trim(),
    view: { stroke: null },
    range: {
      category: [0, 1, 2, 3, 4, 5, 6, 7, 8].map((i) => token(`--c${i}`)),
      ramp: [0, 1, 2, 3, 4].map((i) => token(`--r${i}`)),
    },
    text: { color: ink },
    rule: { color: soft },
    style: { ink: { color: ink }, paper: { color: paper }, accent: { color: token("--c1") } },
    circle: { stroke: line },
    bar: { cornerRadiusEnd: 2 },
    title: { color: soft, fontSize: 12, fontWeight: 400, offset: 10, anchor: "start", frame: "group", subtitleColor: soft },
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

/** Every encoding of a declaration, with its channel. */
const encodings = (spec) => [spec, ...spec.layer].flatMap(({ encoding = {} }) => Object.entries(encoding));

/** The declaration with its data. On the page the buttons are the methods' legend; a file has it in the chart. */
function declare(chart, rows, inFile) {
  const spec = structuredClone(chart.spec);
  const { scenario, shown } = state(chart.section);
  const text = heading(chart);
  spec.datasets = { rows };
  spec.description = [chart.title, text].filter(Boolean).join(": ");
  for (const [channel, definition] of encodings(spec)) {
    if (definition.title === "chosen scenario") definition.title = label(chart, scenario);
    if (definition.field === "where" && !definition.scale?.domain)
      definition.scale = { ...definition.scale, domain: [...new Set(rows.map((row) => row.where))] };
    const isMethod = definition.field === "method" && ["color", "shape"].includes(channel);
    if (isMethod && inFile && definition.legend !== null)
      definition.legend = { values: [...shown].filter((name) => rows.some((row) => row.method === name)) };
    else if (isMethod || (channel === "strokeDash" && !inFile)) definition.legend = null;
  }
  if (spec.height.step) spec.height = heightOf(spec, rows);
  const lines = [text, rows[0].fit].filter(Boolean);
  if (inFile) Object.assign(spec, { width: 560, padding: 12, title: { text: chart.title, subtitle: lines } });
  else if (text) spec.title = { text: lines };
  return spec;
}

/** Pixels of height for the lines of a chart, and for the marks side by side in a line: less each if there are many. */
function heightOf(spec, rows) {
  const count = (channel) => {
    const field = encodings(spec).find(([name]) => name === channel)?.[1].field;
    return field ? new Set(rows.map((row) => row[field])).size : 1;
  };
  const [lines, marks, { step }] = [count("y"), count("yOffset"), spec.height];
  if (spec.height.for !== "offset") return Math.max(60, lines * step);
  return Math.round(Math.max(60, lines * (marks * Math.max(5, Math.min(step, 1100 / (lines * marks))) + 10)));
}

const embedding = (config) => ({
  mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false, logLevel: 1, config,
  tooltip: { theme: "page", disableDefaultStyle: true },
});

async function draw(chart) {
  chart.stale = false;
  chart.view?.finalize();
  chart.view = null;
  const rows = rowsOf(chart);
  if (!rows.length) {
    chart.element.replaceChildren(element("p", emptiness(chart), null, { className: "empty" }));
    for (const name of ["role", "aria-label", "aria-roledescription"]) chart.element.removeAttribute(name);
    chart.element.dataset.drawn = String(!chart.stale);
    return;
  }
  const { view } = await vegaEmbed(chart.element, declare(chart, rows, false), embedding(look(root)));
  chart.view = view;
  chart.element.style.minHeight = "";
  chart.element.dataset.drawn = String(!chart.stale);
}

const visible = (chart) => chart.element.offsetParent !== null;
const rest = () => new Promise((done) => (window.requestIdleCallback ?? setTimeout)(done, { timeout: 200 }));
let drawing = false;

/** Draw what is out of date: first what the reader can see, the others when the browser has nothing else to do. */
async function drawStale() {
  if (drawing || !window.vegaEmbed) return;
  drawing = true;
  root.dataset.drawn = "false";
  for (;;) {
    const waiting = [...charts.values()].filter((chart) => chart.stale && visible(chart));
    const next = waiting.find((chart) => chart.near) ?? waiting[0];
    if (!next) break;
    if (!next.near) await rest();
    await draw(next);
  }
  drawing = false;
  root.dataset.drawn = "true";
}

/** The charts of a section, or all of them, no longer show what they should. */
function redraw(section) {
  for (const chart of charts.values())
    if (!section || chart.section === section) {
      chart.stale = true;
      chart.element.dataset.drawn = "false";
    }
  drawStale();
}

function watch() {
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) charts.get(target.id).near = isIntersecting;
      drawStale();
    },
    { rootMargin: "300px" },
  );
  for (const chart of charts.values()) observer.observe(chart.element);
}
