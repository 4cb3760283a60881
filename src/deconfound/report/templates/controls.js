/** Bring everything in a section to what the reader chose. */
function update(section) {
  const { metric, shown } = state(section);
  for (const table of all(".scroll[data-metric]", section))
    table.hidden = table.dataset.metric !== "" && table.dataset.metric !== metric;
  for (const chart of charts.values())
    if (chart.section === section && chart.method) chart.figure.hidden = !shown.has(chart.method);
  for (const details of all(".numbers[open]", section)) fillNumbers(details);
  for (const details of all(".recipe[open]", section)) fillRecipe(details);
  redraw(section);
}

function press(button, on) {
  button.setAttribute("aria-pressed", String(on));
}

const system = matchMedia("(prefers-color-scheme: dark)");
const theme = document.getElementById("theme");
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

function listen() {
  for (const select of all("select[data-choice]")) select.addEventListener("change", () => update(select.closest(".set")));
  for (const button of all(".method"))
    button.addEventListener("click", () => {
      press(button, button.getAttribute("aria-pressed") !== "true");
      update(button.closest(".set"));
    });
  for (const button of all(".every"))
    button.addEventListener("click", () => {
      for (const method of all(".method", button.closest(".set"))) press(method, button.dataset.on === "true");
      update(button.closest(".set"));
    });
  for (const button of all(".save")) button.addEventListener("click", () => save(button));
  for (const details of all(".numbers")) details.addEventListener("toggle", () => details.open && fillNumbers(details));
  for (const details of all(".recipe")) details.addEventListener("toggle", () => details.open && fillRecipe(details));
  for (const details of all("details.block")) details.addEventListener("toggle", () => drawStale());
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    press(theme, isDark());
    redraw();
  });
  system.addEventListener("change", () => {
    press(theme, isDark());
    redraw();
  });
}

/** The page is on the screen: load Vega, which takes a while, and draw. */
async function start() {
  await loadVega();
  watch();
  drawStale();
}

for (const section of all(".set[data-shared]")) shared.set(section, json(section.dataset.shared));
for (const box of all(".chart")) charts.set(box.id, charted(box));
for (const hidden of all("#theme, .controls, .files, .numbers, .recipe, .switch")) hidden.hidden = false;
press(theme, isDark());
listen();
for (const section of all(".set")) update(section);
if (document.hidden) start();
else requestAnimationFrame(() => setTimeout(start));
