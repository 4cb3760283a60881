/** Draw the page's one chart; the menu beside it saves files. */
async function draw() {
  await loadVega();
  const declaration = JSON.parse(document.getElementById("declaration").textContent);
  const actions = { export: true, source: false, compiled: false, editor: false };
  await vegaEmbed("#chart", declaration, { mode: "vega-lite", renderer: "svg", ast: true, actions });
  document.documentElement.dataset.drawn = "true";
}

draw();
