/** Text with the decimals that the page's tables would choose for the largest of the values. */
function formatter(values) {
  const largest = Math.max(0, ...values.map(Math.abs));
  const plain = largest === 0 || (largest >= 0.1 && largest < 10);
  const digits = plain ? 3 : Math.min(7, Math.max(1, 3 - Math.floor(Math.log10(largest))));
  return (value) => value.toFixed(digits).replace("-", "−");
}

/** The numbers behind a chart, for what the reader chose. */
function fillNumbers(details) {
  const chart = charts.get(details.dataset.chart);
  const across = details.dataset.across;
  const rows = rowsOf(chart);
  const number = formatter(rows.filter((row) => row.mean !== null).map((row) => row.mean));
  const columns = [...new Set(rows.map((row) => row[across]))];
  if (typeof columns[0] === "number") columns.sort((a, b) => a - b);
  details.querySelector(".scroll")?.remove();
  const box = element("div", undefined, details, { className: "scroll", tabIndex: 0, role: "region" });
  box.ariaLabel = `Numbers of ${chart.title}`;
  const table = element("table", undefined, box);
  element("caption", `${heading(chart)}, mean and 95 % interval`, table);
  const head = element("tr", undefined, element("thead", undefined, table));
  const methods = [...new Set(rows.map((row) => row.method))];
  const upright = methods.length < columns.length; // the longer list runs down
  const [down, over] = upright ? [columns, methods] : [methods, columns];
  element("th", upright ? across : "method", head, { scope: "col" });
  for (const title of over) element("th", title, head, { scope: "col" });
  const body = element("tbody", undefined, table);
  for (const line of down) {
    const tr = element("tr", undefined, body);
    element("th", line, tr, { scope: "row" });
    for (const title of over) {
      const [method, place] = upright ? [title, line] : [line, title];
      const row = rows.find((candidate) => candidate.method === method && candidate[across] === place);
      const shown = row?.mean == null ? (row ? "undefined" : "—") : number(row.mean);
      const ends = row?.low == null ? "" : ` [${number(row.low)}, ${number(row.high)}]`;
      element("td", shown + ends, tr);
    }
  }
}

/** How to make a figure again: the commands of the runs in it, and what the reader chose. */
function fillRecipe(details) {
  const chart = charts.get(details.dataset.chart);
  const chosen = state(chart.section);
  const { recipe, runs } = shared.get(chart.section);
  const isShown = ({ method }) => method === "" ? chart.derive === "sensitivity" : chosen.shown.has(method);
  const only = (_, i) => (chart.method ? runs[i].method === chart.method : isShown(runs[i]));
  const about = `# figure: ${[chart.title, heading(chart)].filter(Boolean).join("; ")}`.replace(/[\s\p{Cc}]+/gu, " ");
  const lines = [about, ...recipe.before, ...new Set(recipe.runs.filter(only)), ...recipe.after];
  details.querySelector("pre").textContent = lines.join("\n");
}
