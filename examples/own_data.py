"""Your own arrays become a dataset: built in memory, described, trained on by speaker, and used to predict new rows.

Run it with: python examples/own_data.py
"""

import torch

import deconfound as dc
from deconfound.data.describe import describe
from deconfound.data.describe_text import as_text
from deconfound.prediction.predict import predict_rows

N = 300
generator = torch.Generator().manual_seed(0)
mood = torch.randint(2, (N,), generator=generator)  # (N,) the class of each row
frames = torch.randint(4, 9, (N, 1), generator=generator)  # (N, 1) steps of each recording
inside = torch.arange(8) < frames  # (N, 8)
audio = torch.randn(N, 8, 6, generator=generator) + 0.7 * mood[:, None, None]
face = torch.randn(N, 1, 5, generator=generator) + 0.7 * mood[:, None, None]
seen = torch.rand(N, 1, generator=generator) < 0.8  # (N, 1) the camera was off in a fifth of the rows

data = dc.Dataset.build(
    "moods",
    dc.Task.classification(("calm", "angry")),
    {
        "audio": dc.Signal(audio, torch.ones(N, 8, dtype=torch.bool)).keep(inside),
        "face": dc.Signal(face, torch.ones(N, 1, dtype=torch.bool)).keep(seen),
    },
    mood,
    {"id": [f"clip{i}" for i in range(N)], "speaker": [f"s{i % 10}" for i in range(N)]},
    ["train" if i % 10 < 6 else "valid" if i % 10 < 8 else "test" for i in range(N)],  # whole speakers
    environment=("speaker",),
    group=("speaker",),  # a speaker in two splits would be an error
)
print(as_text(describe(data)))

run = dc.fit(data, "erm", out="runs/moods", train={"epochs": 10})
records = dc.evaluate(run, dataset=data)
worst = records[(records["metric"] == "accuracy") & (records["group"] == "worst(speaker)")]
print(worst[["scenario", "group", "value"]].to_string(index=False))

new = {"audio": dc.Signal(torch.randn(2, 8, 6), torch.ones(2, 8, dtype=torch.bool))}  # no face: it counts as absent
logits = predict_rows(run.method(), run.modalities, run.task, new, ["new-1", "new-2"])
print([run.task.classes[number] for number in logits.argmax(axis=1)])
