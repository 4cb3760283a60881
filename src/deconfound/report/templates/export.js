const ACTIVE = /^(?:[\s\0-\x20\ufeff]*[=+\-−@＝＋－＠]|[\t\r\n])/;
const NUMBER = /^[+\-−]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;

/** A cell that no spreadsheet computes, as `deconfound.io.csv_text.defuse` makes it. */
const defuse = (text) => (ACTIVE.test(text) && !NUMBER.test(text) ? `'${text}` : text);

/** What a chart shows now as CSV text, one line per row; numbers have six digits. */
function csv(chart) {
  const rows = rowsOf(chart);
  const columns = Object.keys(rows[0] ?? {});
  const cell = (value) => {
    const text = value == null ? "" : typeof value === "number" ? String(value) : defuse(String(value));
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const table = [columns, ...rows.map((row) => columns.map((name) => row[name]))];
  return table.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

/** A light chart with its legend, drawn out of sight, for a paper. */
async function withPaper(chart, use) {
  const light = element("div", undefined, document.body, { hidden: true });
  light.dataset.theme = "light";
  const page = look(light);
  const title = { ...page.title, color: page.text.color, fontSize: 13, fontWeight: 600 };
  const config = { ...page, title, background: "white", font: "Helvetica, Arial, sans-serif" };
  const { view } = await vegaEmbed(light, declare(chart, rowsOf(chart), true), embedding(config));
  const made = await use(view);
  view.finalize();
  light.remove();
  return made;
}

/** The size that the SVG gives the chart, legends and titles included. */
async function pdf(view) {
  const svg = await view.toSVG();
  const [width, height] = ["width", "height"].map((name) => Number(new RegExp(`<svg[^>]* ${name}="([\\d.]+)"`).exec(svg)[1]));
  const context = new PdfContext(width, height);
  await view.toCanvas(1, { externalContext: context, type: "pdf" });
  return context.bytes();
}

const formats = {
  csv: { type: "text/csv", make: async (chart) => csv(chart) },
  svg: { type: "image/svg+xml", make: (chart) => withPaper(chart, (view) => view.toSVG()) },
  pdf: { type: "application/pdf", make: (chart) => withPaper(chart, pdf) },
};

/** "Gaussian-noise-corr.svg" */
function fileName(chart, format) {
  const { metric, scenario, group } = state(chart.section);
  const uses = (name) => chart.follows.includes(name);
  const words = [chart.title, uses("metric") && metric, uses("scenario") && scenario];
  words.push(uses("group") && group !== "all" && group);
  return `${words.filter(Boolean).join(" ").replace(/[^\w.-]+/g, "-").replace(/^-|-$/g, "")}.${format}`;
}

async function save(button) {
  const chart = charts.get(button.dataset.chart);
  const { type, make } = formats[button.dataset.format];
  if (!rowsOf(chart).length) return;
  const url = URL.createObjectURL(new Blob([await make(chart)], { type }));
  Object.assign(document.createElement("a"), { href: url, download: fileName(chart, button.dataset.format) }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
