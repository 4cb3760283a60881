"""The whole program in Python: a dataset, two methods, a table.

Run it with: python examples/python_api.py
"""

import deconfound as dc

data = dc.synthetic(rows=400)
methods = {"erm": "erm", "cmir": {"name": "cmir", "invariance": 0.3}}
runs = [dc.fit(data, m, out=f"runs/api/{name}", name=name, train={"epochs": 10}) for name, m in methods.items()]
records = dc.evaluate(runs, dataset=data)

clean = records[(records["metric"] == "mse") & (records["group"] == "all") & (records["severity"] == 0)]
print(clean.pivot_table(index="scenario", columns="method", values="value", sort=False).round(3))
