"""`cmir`: causal modality-invariant representations (Mai & Han, ACL 2026, arXiv 2604.18460).

Each modality's features h_m are split into an invariant and a spurious part. Virtual environments, noise of growing
strength, must not move the invariant part (invariance); the two parts share nothing (decorrelation) and rebuild the
features together (reconstruction). The invariant parts alone predict:

    L = L_pred + Σ_m (λ1 R_inv^m + λ2 R_dec^m + λ3 R_rec^m)

There is no reference code; each choice that the paper leaves open is an argument with our default. What to expect:
isotropic noise penalises the encoder's Jacobian. That helps where the spurious part is weaker in the input than the
causal one; it cannot tell causes from correlates in general. Compare with `erm`, and with plain noise augmentation.
With environments that the data really have, see `cmir-e`; with causes that modalities share, `cmir-xm`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from deconfound.compose import MethodWrapper, loss_of_each
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch, Signal
from deconfound.errors import SpecError
from deconfound.method import Loss, Representations
from deconfound.method_names import PLAIN
from deconfound.methods.erm import ERM
from deconfound.nested_method import Inner, PredictOn, encoded_views, make_inner, weighted
from deconfound.nn.backbone import Backbone
from deconfound.nn.club import Club
from deconfound.nn.collapse import CollapseWatch
from deconfound.nn.collect_features import (
    Movement,
    check_environments,
    directions_note,
    find_directions,
    label_bins,
    survey,
)
from deconfound.nn.cross_modal import CrossModal
from deconfound.nn.directions import Directions
from deconfound.nn.disentangle import Dim, DisentanglerGroup, Hidden, Invariant, NoiseSite, by_width
from deconfound.nn.environments import Environments, NoiseScale, RawNoise, Visits
from deconfound.objectives.averaging import risks_of_each
from deconfound.objectives.conditional import conditional_distance
from deconfound.objectives.decorrelation import Decorrelate, decorrelation
from deconfound.objectives.invariance import invariance, mean_divergence
from deconfound.penalty import warm_up
from deconfound.search import Search

Source = Literal["virtual", "directed", "given"]
Compared = Literal["l1", "l2", "cosine", "kl"]


class CmIR(MethodWrapper):
    """The published objective on any encoder. Rows in which a modality is absent do not enter its constraints.

    All constraints are means (over pairs of environments, dimensions and rows) summed over modalities, so the weights
    do not depend on batch size, K or `dim`. Fusion and head work on the invariant parts, `dim` wide per modality. With
    the encoder `pool`, h_m is the standardised input itself, the closest to the paper's noise on original features.
    With one environment there is no pair and the invariance term is 0.

    Warns `nn.collapse.CollapseWarning` once if an invariant part shrinks to a constant in training.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        inner: Inner = PLAIN,
        source: Annotated[
            Source,
            Field(
                description="of environments: noise in all directions (the paper), noise along the directions that move "
                "with the data's environments at a fixed label, or the data's environments themselves"
            ),
        ] = "virtual",
        dim: Dim = 8,
        hidden: Hidden = 64,
        environments: Annotated[int, Field(ge=1, le=64, description="K virtual environments"), Search(2, 5)] = 3,
        strength: Annotated[
            float, Field(ge=0, description="α1: noise of environment e is e·α1 of the scale"), Search(0.03, 1, log=True)
        ] = 0.2,
        directed_strength: Annotated[
            float, Field(ge=0, description="α_s, as α1 but for noise along those directions"), Search(0.3, 5, log=True)
        ] = 2.0,
        movement: Movement = "means",
        noise_at: Annotated[
            NoiseSite, Field(description="noise on the features that are split, the raw input, or the hidden layer")
        ] = "features",
        noise_scale: Annotated[
            NoiseScale, Field(description="noise in running standard deviations, own units, or the running covariance")
        ] = "std",
        draws: Visits = "auto",
        distance: Annotated[
            Compared,
            Field(
                description="of two environments, between the invariant parts or (kl) between the predictions made from "
                "them: the divergence of class probabilities, for numbers the squared difference"
            ),
        ] = "l1",
        predict_on: Annotated[
            PredictOn, Field(description="views that the prediction is trained on; both weighs clean and noisy by half")
        ] = "clean",
        reconstruct: Annotated[
            Literal["clean", "denoise"],
            Field(description="clean features from the clean parts, or from the noisy ones"),
        ] = "clean",
        decorrelate: Annotated[
            Decorrelate,
            Field(
                description="squared cosines between rows, squared correlations between columns, HSIC of Gaussian kernels "
                "(B × B per modality), or the CLUB bound on mutual information (a network learns q(spurious | invariant))"
            ),
        ] = "orth",
        off_diagonal: Annotated[float, Field(ge=0, lt=1, description="α: weight of cosines between other rows")] = 0.1,
        invariance: Annotated[float, Field(ge=0, description="λ1"), Search(0.01, 10, log=True)] = 0.3,
        decorrelation: Annotated[float, Field(ge=0, description="λ2"), Search(0.001, 1, log=True)] = 0.05,
        reconstruction: Annotated[float, Field(ge=0, description="λ3"), Search(0.01, 5, log=True)] = 0.5,
        ramp: Annotated[float, Field(ge=0, le=1, description="share of the steps over which λ1 grows from 0")] = 0.2,
        decorrelation_ramp: Annotated[float, Field(ge=0, le=1, description="as ramp, of λ2")] = 0.0,
        reconstruction_ramp: Annotated[float, Field(ge=0, le=1, description="as ramp, of λ3")] = 0.0,
        alignment: Annotated[
            float,
            Field(ge=0, description="weight of agreement between modalities; the prediction then trains its head only"),
        ] = 0.0,
        temperature: Annotated[float, Field(gt=0, description="τ of the agreement between modalities")] = 0.2,
        alignment_needs: Annotated[
            float, Field(ge=-1, le=1, description="canonical correlation beyond the label from which a pair is aligned")
        ] = 0.5,
    ) -> None:
        along = (strength, directed_strength) if source == "directed" else None
        if backbone.after is not None:
            raise SpecError("cmir splits what encoders make and cannot split again what a method around it has split")
        if along and noise_at == "hidden":
            raise SpecError("source = 'directed' knows directions of features and of inputs; use noise_at = 'features'")
        if distance == "kl" and source == "given":
            raise SpecError("distance = 'kl' compares views of one row, and source = 'given' has none; use 'l1'")
        invariant = backbone.resized(dict.fromkeys(backbone.widths, dim))
        denoise, pairs = reconstruct == "denoise", environments > 1 or draws == "one"
        on_features = along if noise_at == "features" else None
        site = {"noise_at": noise_at, "noise_scale": noise_scale, "denoise": denoise, "along": on_features}
        groups = by_width(backbone.widths)
        invariant.after = Invariant(
            [DisentanglerGroup(names, width, dim, hidden, **site) for width, names in groups.items()]
        )
        super().__init__(make_inner(inner, invariant))
        self.source: Source = source
        self.movement: Movement = movement
        self.environments = Environments(environments, 1.0 if along else strength, draws)
        self.distance: Compared = distance
        self.predict_on: PredictOn = predict_on
        self.decorrelate: Decorrelate = decorrelate
        self.off_diagonal = off_diagonal
        self.weights = {
            "invariance": (invariance, ramp),
            "decorrelation": (decorrelation, decorrelation_ramp),
            "reconstruction": (reconstruction, reconstruction_ramp),
        }
        self.needs_views = (pairs and source != "given") or predict_on != "clean" or denoise
        self.names = [name for names in groups.values() for name in names]
        self.raw = RawNoise(backbone.modalities, noise_scale, along) if noise_at == "raw" else None
        self.club = Club(len(self.names), dim, hidden) if decorrelate == "club" else None
        self.watch = CollapseWatch(self.names)
        self.alignment = alignment
        self.cross_modal = CrossModal(self.names, temperature, alignment_needs) if alignment > 0 else None

    @property
    def groups(self) -> nn.ModuleList:
        """The `DisentanglerGroup` of each width."""
        assert isinstance(self.backbone.after, Invariant)
        return self.backbone.after.groups

    @property
    def needs_environments(self) -> bool:  # type: ignore[override]
        return self.source == "given" or super().needs_environments

    def check(self, development: Dataset) -> None:
        """As `Method.check`.

        Raises:
            DataError: environments of the data are asked for, and there is one, or too few rows of each.
        """
        super().check(development)
        if self.source != "virtual":
            check_environments(development)

    def on_epoch_start(self, epoch: int, development: Dataset, generator: torch.Generator) -> None:
        if self.cross_modal is not None and epoch == 0:
            self.cross_modal.measure(self.backbone, development, generator)
        if self.source == "directed" and (self.raw is None or epoch == 0):
            seen = survey(self.backbone, development, "encoders" if self.raw is None else "inputs")
            find_directions(self._directions(), seen, self.backbone.task, self.movement, generator)
        super().on_epoch_start(epoch, development, generator)

    def summary_lines(self) -> tuple[str, ...]:
        found = (*super().summary_lines(), *(() if self.cross_modal is None else self.cross_modal.summary_lines()))
        if self.source != "directed":
            return found
        counts = {n: k for names, d in self._directions() for n, k in zip(names, d.counts, strict=True)}
        return *found, directions_note(counts)

    def representations(self, batch: Batch) -> Representations:
        """The (B, dim) invariant and (B, dim) spurious part of the clean features of each modality."""
        features = self.backbone.encode_signals(self.backbone.standardise(batch))
        split = [pair for group in self._groups() for pair in zip(*group.both(features), strict=True)]
        parts = dict(zip(self.names, split, strict=True))
        return Representations({n: part[0] for n, part in parts.items()}, {n: part[1] for n, part in parts.items()})

    def reconstruct(self, parts: Representations) -> dict[str, Tensor]:
        rebuilt = [feature for group in self._groups() for feature in group.rebuilt(parts.predictive, parts.spurious)]
        return dict(zip(self.names, rebuilt, strict=True))

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        """As `Method.loss`. Terms: prediction, invariance, decorrelation, reconstruction, all but the first summed over
        the modalities; "surprise" is −log q of CLUB's network, which alone it trains, so it has no weight; "inner/NAME" are
        terms of the inner method. Monitors: those of the inner method, and `spread/MODALITY`, the standard deviation of its
        invariant part in this batch.
        """
        present = torch.stack([batch.present[name] for name in self.names])  # (M, B)
        signals, count = self.backbone.standardise(batch), len(batch)
        strengths = self.environments.draw(count, generator, present.device)[: None if self.needs_views else 0]
        if self.raw is not None:
            signals = self.raw(signals, strengths, generator, self.backbone.scales)
        features = self.backbone.encode_signals(signals)
        shares = present.split([len(group.names) for group in self._groups()])
        parts = [g(features, share, strengths, generator) for g, share in zip(self._groups(), shares, strict=True)]
        invariant = torch.cat([part.invariant for part in parts])  # (M, 1 + V, B, dim)
        clean, spurious = invariant[:, 0], torch.cat([part.spurious for part in parts])
        loss = self._prediction(invariant, present, signals, batch, progress, generator)
        terms = {
            **{name if name == "prediction" else f"inner/{name}": value for name, value in loss.terms.items()},
            "invariance": self._invariance(invariant, present, batch).sum(),
            **self._decorrelation(clean, spurious, present),
            "reconstruction": torch.cat([part.error for part in parts]).sum(),
        }
        total = loss.total
        for name, (weight, ramp) in self.weights.items():
            total = total + weight * warm_up(progress, ramp) * terms[name]
        if self.club is not None:
            total = total + terms["surprise"]
        if self.cross_modal is not None:
            terms["alignment"] = self.cross_modal(clean, present)
            total = total + self.alignment * terms["alignment"]
        spread = self.watch(clean.detach(), present)
        monitors = {f"spread/{name}": value for name, value in zip(self.names, spread, strict=True)}
        kept = dict(zip(self.names, clean.masked_fill(~present.unsqueeze(2), 0), strict=True))
        return Loss(total, terms, loss.risks, kept, loss.output, {**loss.monitors, **monitors})

    def _directions(self) -> list[tuple[Sequence[str], Directions]]:
        """The directions of structured noise and the modalities they belong to."""
        if self.raw is not None:
            return [([name], directions) for name, directions in self.raw.directed()]
        return [(group.names, group.directions) for group in self._groups() if group.directions is not None]

    def _groups(self) -> list[DisentanglerGroup]:
        return [group for group in self.groups if isinstance(group, DisentanglerGroup)]

    def _prediction(
        self,
        invariant: Tensor,
        present: Tensor,
        signals: Mapping[str, Signal],
        batch: Batch,
        progress: float,
        generator: torch.Generator,
    ) -> Loss:
        """The inner method's loss on the chosen views of (M, 1 + V, B, dim) parts, weighted."""
        if self.cross_modal is not None and self.cross_modal.aligned:
            invariant = invariant.detach()  # or the prediction would bring back what one modality alone knows
        chosen = {"clean": slice(0, 1), "noisy": slice(1, None), "both": slice(None)}[self.predict_on]
        if isinstance(self.inner, ERM):  # the same as below, all views at once
            outputs = self._predict(invariant[:, chosen], present)
            risks = risks_of_each(self.backbone.task, outputs, batch.target)
            mean = (risks[0] + risks[1:].mean(0)) / 2 if self.predict_on == "both" else risks.mean(0)
            return Loss(mean.mean(), {"prediction": mean.mean()}, mean, {}, outputs[0])
        views = encoded_views(batch, self.names, signals, invariant, present)
        return loss_of_each(self.inner, weighted(views, self.predict_on), progress, generator)

    def _predict(self, views: Tensor, present: Tensor) -> Tensor:
        """(M, V, B, dim) parts and (M, B) presence → (V, B, outputs)."""
        count = views.shape[1]
        features = dict(zip(self.names, views.flatten(1, 2), strict=True))
        output = self.backbone.predict(features, dict(zip(self.names, present.repeat(1, count), strict=True)))
        return output.unflatten(0, (count, -1))

    def _invariance(self, invariant: Tensor, present: Tensor, batch: Batch) -> Tensor:
        """(M, 1 + V, B, dim) parts → (M,), or () between predictions, which are those of all modalities together."""
        if self.source == "given" and self.distance != "kl":
            bins = label_bins(self.backbone.task, batch.target)
            return conditional_distance(invariant[:, 0], present, batch.env, bins, self.distance)
        compared = invariant if self.environments.draws == "one" else invariant[:, 1:]
        if self.distance != "kl":
            return invariance(compared.movedim(1, 0), present, self.distance)
        if compared.shape[1] < 2:
            return invariant.new_zeros(())
        outputs = self._predict(compared, present)
        if self.backbone.task.kind == "classification":
            return mean_divergence(outputs, present.any(0))
        return invariance(outputs, present.any(0), "l2")

    def _decorrelation(self, clean: Tensor, spurious: Tensor, present: Tensor) -> dict[str, Tensor]:
        """The term summed over the modalities, and the one that trains CLUB's network if there is one."""
        if self.club is not None:
            bound, surprise = self.club(clean, spurious, present)
            return {"decorrelation": bound.sum(), "surprise": surprise.sum()}
        value = decorrelation(self.decorrelate, clean, spurious, present, self.off_diagonal)
        return {"decorrelation": value.sum()}
