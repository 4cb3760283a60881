"""`imml`: intervening on the predominant modality (Li et al., arXiv 2406.11490v2), beside any fusion.

The predominant modality p has a representation z, its discriminative knowledge, that is aligned with that of the other
modalities. A head f(z, x', a) predicts from z, the features a of the others, and features x' of p from *other* rows, over
which it averages. That is the front-door formula with an auxiliary modality, with a learned z in the place of a mediator:

    L = L_task + γ1 L_dk + γ2 L_fd

There is no public code and no full text; each choice that the abstract leaves open is an argument with our default.
"""

from __future__ import annotations

from itertools import combinations
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from deconfound.data.dataset import Dataset, evenly_spaced
from deconfound.data.signal import Batch
from deconfound.errors import SpecError, did_you_mean
from deconfound.method import Loss, Method, MethodHooks, Representations, WarmUp
from deconfound.nn.backbone import Backbone
from deconfound.nn.front_door import Averaging, Form, Weights
from deconfound.nn.interventions import PREDICTIONS, EncodedRows, InterventionOutputs, Interventions
from deconfound.nn.knowledge import DetachedEncoders, Knowledge
from deconfound.nn.layers import in_eval_mode
from deconfound.nn.predominant import Predominant
from deconfound.objectives.alignment import Alignment, alignment
from deconfound.objectives.front_door import Head
from deconfound.objectives.rows import risk_mean
from deconfound.search import Search

CHECKLIST = (
    "an interventional prediction is the causal effect only if all of this holds, and no data can show it for a learned z: "
    "(B1) z intercepts every directed path from the predominant modality to the label; "
    "(B2) no other modality is an effect of the predominant one or of z; "
    "(B3) the other modalities block every back-door path from the predominant one to z; "
    "(B4) they and the predominant one block every back-door path from z to the label",
    "positivity fails: z is a function of the features, so the average over x' rests on the form of f, not on the theorem",
)


class IMML(Method):
    """The published objective as far as it is known, beside the task's own prediction.

    Predictions: "task" is the wrapped fusion, "do" the average of f over x', "avg" their mixture, "z-only" a head on z and
    the other modalities without x'. `predict` names the method's own; `variants` has the others. In rows without the
    predominant modality, or without any other, no "do" can be formed: "do", "avg" and "z-only" are the task's there, and
    the monitor `fallback` is the share of such rows.

    No interventional prediction of a learned z is an identified causal effect. It would need all of this:
    (B1) z intercepts every directed path from the predominant modality to the label;
    (B2) no other modality is an effect of the predominant one or of z;
    (B3) the other modalities block every back-door path from the predominant one to z;
    (B4) they and the predominant one block every back-door path from z to the label;
    and positivity, which fails: z is a function of the features.

    Raises:
        SpecError: fewer than two modalities, or `predominant` is none of them.
    """

    one_label, weighs_rows = True, True

    choice: Tensor

    def __init__(
        self,
        backbone: Backbone,
        *,
        alignment: Annotated[
            Alignment, Field(description="rows that are aligned: those of one label, a row with itself, or half each")
        ] = "label",
        temperature: Annotated[float, Field(gt=0, description="τ of the alignment"), Search(0.05, 1, log=True)] = 0.2,
        gamma_dk: Annotated[float, Field(ge=0, description="γ1: alignment"), Search(0.01, 10, log=True)] = 1.0,
        gamma_fd: Annotated[float, Field(ge=0, description="γ2: front-door head"), Search(0.01, 10, log=True)] = 1.0,
        head: Annotated[
            Head,
            Field(description="x' drawn with its own a, with the row's a, averaged inside f, or K-means centres"),
        ] = "mc-product",
        form: Annotated[Form, Field(description="f(z, x', a), or f1(z, a) + f2(x', a)")] = "full",
        weights: Annotated[
            Weights, Field(description="weights of the draws under mc-cond and nwgm: equal, or by the similarity of a")
        ] = "uniform",
        likeness: Annotated[float, Field(gt=0, description="temperature of that similarity")] = 0.2,
        training: Annotated[
            Literal["e2e", "plug"],
            Field(description="all gradients flow, or z learns by alignment alone and f on what is detached"),
        ] = "e2e",
        predict: Annotated[
            Literal["task", "do", "avg", "z-only", "auto"],
            Field(description="the method's own prediction; auto: lowest validation risk"),
        ] = "task",
        mix: Annotated[float, Field(ge=0, le=1, description="η: share of do in avg"), Search(0.0, 1.0)] = 0.5,
        predominant: Annotated[
            str, Field(description="name of a modality, or auto: measured after the warm-up")
        ] = "auto",
        warmup: Annotated[int, Field(ge=0, lt=2**31, description="W: epochs before it is measured")] = 3,
        bank: Annotated[int, Field(ge=1, le=1_000_000, description="Q: rows that x' is drawn from")] = 1024,
        draws: Annotated[
            int, Field(ge=1, le=10_000, description="J per step of training"), Search(4, 64, log=True)
        ] = 16,
        draws_eval: Annotated[
            int, Field(ge=1, le=10_000, description="J at inference, evenly spaced in the bank")
        ] = 64,
        centres: Annotated[int, Field(ge=1, le=10_000, description="K of the dictionary")] = 64,
        dim: Annotated[
            int,
            Field(
                ge=3, le=65_536, description="width of z, a bottleneck; 2 numbers of fixed length would hold one bit"
            ),
            Search(3, 64, log=True),
        ] = 64,
        hidden: Annotated[int, Field(ge=1, le=65_536, description="width of hidden layers")] = 64,
    ) -> None:
        hooks = MethodHooks(
            on_epoch_start=self._measure,
            warm_up=self._warm_up,
            on_validation_start=self._choose,
            summary_lines=self._summary_lines,
            variants=self._variants,
            representations=self._representations,
        )
        super().__init__(backbone, hooks=hooks)
        names = list(backbone.modalities)
        if len(names) < 2:
            raise SpecError(f"imml needs two or more modalities, this data has only {names[0]!r}; train 'erm'")
        if predominant not in ("auto", *names):
            raise SpecError(f"there is no modality {predominant!r} to be predominant{did_you_mean(predominant, names)}")
        task, plug = backbone.task, training == "plug"
        self.alignment: Alignment = alignment
        self.temperature, self.gamma_dk, self.gamma_fd = temperature, gamma_dk, gamma_fd
        self.predict, self.plug, self.warmup = predict, plug, warmup
        self.twins = DetachedEncoders(backbone.encoders) if plug else None
        self.knowledge = Knowledge(backbone.encoded if plug else backbone.widths, hidden, dim)
        self.predominant = Predominant(names, predominant)
        self.interventions = Interventions(
            self.predominant.active,
            backbone.widths,
            (dim, hidden),
            task,
            Averaging(head, weights, likeness, task.kind == "classification"),
            form=form,
            plug=plug,
            sizes=(bank, draws, draws_eval, centres if head == "dictionary" else 0),
            mix=mix,
        )
        self.register_buffer("choice", torch.tensor(0 if predict == "auto" else PREDICTIONS.index(predict)))

    def forward(self, batch: Batch) -> Tensor:
        if self.chosen == "task":
            return self.backbone.predict(self.backbone.encode(batch), batch.present)
        return self._outputs(batch).named(self.chosen, self.interventions.mix)

    @property
    def chosen(self) -> str:
        """The prediction that is the method's own: "task", "do", "avg" or "z-only"."""
        return PREDICTIONS[int(self.choice)]

    def _variants(self, batch: Batch) -> dict[str, Tensor]:
        """All predictions but the method's own; all four where it chose by itself."""
        outputs = self._outputs(batch)
        names = [name for name in PREDICTIONS if self.predict == "auto" or name != self.chosen]
        return {name: outputs.named(name, self.interventions.mix) for name in names}

    def _representations(self, batch: Batch) -> Representations:
        """z of the predominant modalities and the features of the rest; only features where "task" predicts."""
        rows = self._encode(batch)
        predominant = () if self.chosen == "task" else self.predominant.active
        parts = {name: rows.z[name] if name in predominant else values for name, values in rows.features.items()}
        return Representations({n: part.masked_fill(~rows.present[n].unsqueeze(1), 0) for n, part in parts.items()})

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        """As `Method.loss`. Terms: prediction (L_task), alignment (L_dk), front-door (L_fd, in plug training of f1 + f2)
        and direct (the head of "z-only", which moves nothing else; in plug training f1).

        Monitors: `fallback`; `predominant/MODALITY`, its share of the predominant part; `contribution/MODALITY`, its
        Shapley value for "task" on validation rows when the epoch began.
        """
        rows, target, risk = self._encode(batch), batch.target, self.backbone.task.risk
        if self.training:
            self.interventions.remember(rows, batch.view.rows(len(batch)))
        active = self.predominant.active
        outputs = self.interventions(rows, active, generator if self.training else None, training=True)
        prediction, output = risk(rows.task, target), outputs.named(self.chosen, self.interventions.mix)
        front, direct = [], []
        for part, share in outputs.with_shares(active):
            front.append(share * risk_mean(risk(part.do, target), part.formed, batch.weight))
            direct.append(share * risk_mean(risk(part.direct, target), rows.present[part.name], batch.weight))
        terms = {
            "prediction": batch.mean(prediction),
            "alignment": self._alignment(rows, target, active),
            "front-door": torch.stack(front).sum(),
            "direct": torch.stack(direct).sum(),
        }
        total = terms["prediction"] + self.gamma_dk * terms["alignment"]
        total = total + self.gamma_fd * terms["front-door"] + terms["direct"] + self.interventions.zero_loss(active)
        risks = prediction if output is rows.task else risk(output, target)
        monitors = {"fallback": 1 - outputs.formed.float().mean(), **self.predominant.monitors()}
        return Loss(total, terms, risks, rows.features, output, monitors)

    def _warm_up(self) -> WarmUp:
        """The epochs before it is decided which modality predominates."""
        return WarmUp(epochs=self.warmup if self.predominant.auto else 0)

    def _measure(self, epoch: int, development: Dataset, generator: torch.Generator) -> None:
        """Measure contributions, decide after the warm-up which modality predominates, and compute the dictionary."""
        with in_eval_mode(self):
            self.predominant.contribute(self.backbone, development)
            if epoch >= self.warmup and not bool(self.predominant.decided):
                self.predominant.measure(self.backbone, development)
            self.interventions.summarise(generator)

    def _choose(self, development: Dataset) -> None:
        """Choose the prediction with the lowest mean risk on the validation rows where `predict` is "auto"."""
        if self.predict != "auto":
            return
        risks: dict[str, float] = dict.fromkeys(PREDICTIONS, 0.0)
        for rows in evenly_spaced(development.rows("valid"), len(development)).split(512):
            batch = development.batch(rows).to(self.choice.device)
            outputs = self._outputs(batch)
            for name in PREDICTIONS:
                output = outputs.named(name, self.interventions.mix)
                risks[name] += float(self.backbone.task.risk(output.float(), batch.target).sum())
        self.choice.fill_(PREDICTIONS.index(min(PREDICTIONS, key=lambda name: risks[name])))

    def _summary_lines(self) -> tuple[str, ...]:
        active = self.predominant.active
        role = f"{next(iter(active))} is predominant" if len(active) == 1 else f"{', '.join(active)} are balanced"
        reason = "as named"
        if self.predominant.auto:
            measured, early = "measured on validation rows", "not measured: weights from before the warm-up was over"
            reason = measured if bool(self.predominant.decided) else early
        auto = (f"'{self.chosen}' predicts: lowest validation risk of the four",) if self.predict == "auto" else ()
        return (f"{role} ({reason})", *auto, *CHECKLIST)

    def _encode(self, batch: Batch) -> EncodedRows:
        features, present = self.backbone.encode(batch), batch.present
        z = self.knowledge(features if self.twins is None else self.twins(self.backbone.standardise(batch)))
        return EncodedRows(features, present, z, self.backbone.predict(features, present))

    def _outputs(self, batch: Batch) -> InterventionOutputs:
        return self.interventions(self._encode(batch), self.predominant.active, None, training=False)

    def _alignment(self, rows: EncodedRows, target: Tensor, active: dict[str, float]) -> Tensor:
        """Σ over pairs of modalities, each weighted by the shares of the two in the predominant part."""
        pairs = [(a, b) for a, b in combinations(rows.z, 2) if a in active or b in active]
        weight = rows.task.new_tensor([active.get(a, 0.0) + active.get(b, 0.0) for a, b in pairs])
        first, second = (torch.stack([rows.z[pair[i]] for pair in pairs]) for i in (0, 1))
        both = torch.stack([rows.present[a] & rows.present[b] for a, b in pairs])
        losses = alignment(first, second, target, both, kind=self.alignment, temperature=self.temperature)
        return (weight * losses).sum()
