const root = document.documentElement;
const all = (selector, at = document) => [...at.querySelectorAll(selector)];
const json = (id) => JSON.parse(document.getElementById(id).textContent);
const specs = json("specs"); // charts that look alike share a declaration
const charts = new Map(); // id → chart, see `charted`
const shared = new Map(); // section → better, inside, reference, labels, runs, values, recipe; see View.shared

function element(tag, text, at, properties = {}) {
  const made = Object.assign(document.createElement(tag), properties);
  if (text !== undefined) made.textContent = text;
  at?.append(made);
  return made;
}

/** Packed columns → one object per row. */
function unpack({ columns, levels, rows }) {
  return rows.map((row) =>
    Object.fromEntries(columns.map((name, i) => [name, levels[name] && row[i] !== null ? levels[name][row[i]] : row[i]])),
  );
}

/** A chart's element, declaration and data; the data are parsed when they are first needed. */
function charted(box) {
  const section = box.closest(".set");
  const source = json(`${box.id}-data`);
  let rows;
  return {
    element: box, section, stale: true, near: false, view: null, ...source, spec: specs[source.spec],
    title: box.dataset.title,
    figure: box.closest("figure"),
    get rows() {
      return (rows ??= unpack(source.data));
    },
  };
}

/** What the reader chose in a section: metric, scenario, group, view, and the visible methods. */
function state(section) {
  const chosen = Object.fromEntries(all("select[data-choice]", section).map((s) => [s.dataset.choice, s.value]));
  const buttons = all(".method", section);
  const pressed = buttons.filter((button) => button.getAttribute("aria-pressed") === "true");
  return { ...chosen, shown: new Set(pressed.map((button) => button.dataset.label)), buttons: buttons.length };
}

/** True if a row belongs to what the reader chose; a field that is null belongs to every choice. */
function passes(row, chosen) {
  for (const name of ["metric", "scenario", "group", "view"])
    if (row[name] != null && chosen[name] !== undefined && row[name] !== chosen[name]) return false;
  return row.method == null || chosen.buttons === 0 || chosen.shown.has(row.method);
}

/** The rows that a chart shows now. */
function rowsOf(chart) {
  const chosen = state(chart.section);
  const rows = chart.rows.filter((row) => passes(row, chosen));
  return chart.derive ? derived[chart.derive](chart, chosen, rows) : rows;
}

const label = (chart, scenario) => shared.get(chart.section)?.labels[scenario] ?? scenario;

/** "mse · lower is better · test-flip · speaker=anna": what of the reader's choices the chart shows. */
function heading(chart) {
  const { metric, scenario, group, view } = state(chart.section);
  const data = shared.get(chart.section);
  const uses = (name) => chart.follows.includes(name);
  const parts = uses("metric") ? [metric, `${data.better[metric]} is better`] : [];
  if (uses("view") && view === "difference") parts[0] = `${metric} − that of ${data.reference}`;
  if (uses("scenario")) parts.push(label(chart, scenario));
  if (uses("group")) parts.push(group === "all" ? "all rows" : group);
  return parts.join(" · ");
}

/** Why a chart has nothing to show. */
function emptiness(chart) {
  const { scenario, group } = state(chart.section);
  const { inside, splits = [] } = shared.get(chart.section) ?? {};
  if (chart.derive === "scatter" && scenario === inside)
    return `${inside} lies across; choose another scenario to lie upwards.`;
  if (chart.follows.includes("group") && group !== "all" && !splits.includes(scenario))
    return "Groups are measured on whole, clean splits only; choose one, or all rows.";
  if (chart.follows.includes("scenario") && !chart.derive && !splits.includes(scenario))
    return `Measured on whole, clean splits only; choose one of ${splits.join(", ")}.`;
  return "Nothing was measured for this choice, or no method is shown.";
}
