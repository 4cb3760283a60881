/** Rows that are made of the section's values by run: condition → group → metric → value of each run. */
const derived = {
  scatter(chart, { metric, scenario, group, shown }, [fit]) {
    const { values, runs, inside } = shared.get(chart.section);
    if (scenario === inside) return [];
    const across = values[inside]?.[group]?.[metric] ?? [];
    const upwards = values[scenario]?.[group]?.[metric] ?? [];
    const points = runs
      .map(({ method, seed, run }, i) => ({ kind: "run", method, seed, run, x: across[i], y: upwards[i] }))
      .filter(({ method, x, y }) => shown.has(method) && x != null && y != null);
    if (!points.length || !fit) return points;
    const xs = points.map((point) => point.x);
    const room = 0.04 * (Math.max(...xs) - Math.min(...xs) || Math.abs(xs[0]) || 1);
    const ends = [Math.min(...xs) - room, Math.max(...xs) + room];
    const text = fit.runs ? `dashed: the line of ${fit.runs} ERM runs` : "dashed: y = x";
    const rest = { kind: "line", method: null, seed: null, run: null };
    const line = ends.map((x) => ({ ...rest, x, y: fit.intercept + fit.slope * x, fit: text }));
    return [...line, ...points.map((point) => ({ ...point, fit: null }))];
  },

  sensitivity(chart, { metric, scenario }, rows) {
    const { values, runs, inside, labels } = shared.get(chart.section);
    const conditions = [...new Set(["valid", inside, scenario])].filter((condition) => condition && values[condition]?.all?.[metric]);
    return conditions.flatMap((condition) =>
      rows
        .map(({ number, x }) => {
          const { seed, run } = runs[number];
          return { where: labels[condition], x, y: values[condition].all[metric][number], seed, run };
        })
        .filter(({ y }) => y != null),
    );
  },
};
