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
from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from deconfound.compose import MethodWrapper, loss_of_views
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch, Signal
from deconfound.method import Loss, Representations, WarmUp
from deconfound.method_names import PLAIN
from deconfound.methods.erm import ERM
from deconfound.nested_method import Inner, encoded_views, make_inner, weighted
from deconfound.nn.backbone import Backbone
from deconfound.nn.club import Club
from deconfound.nn.cmir_arguments import (
    Agreement,
    Decorrelation,
    EnvironmentNoise,
    Source,
    TermWeights,
    ViewUse,
    invariant_backbone,
    refuse_contradictions,
)
from deconfound.nn.collapse import CollapseWatch
from deconfound.nn.collect_features import (
    check_environments,
    collect_features,
    directions_note,
    find_directions,
    label_bins,
)
from deconfound.nn.directions import Directions
from deconfound.nn.disentangle import Dim, Hidden, Invariant
from deconfound.nn.environments import RawNoise
from deconfound.objectives.averaging import risks_of_each
from deconfound.objectives.conditional import conditional_distance
from deconfound.objectives.decorrelation import decorrelation
from deconfound.objectives.invariance import invariance, mean_divergence
from deconfound.penalty import warm_up
from deconfound.registry import Flat


class CmIR(MethodWrapper):
    """The published objective on any encoder. Rows in which a modality is absent do not enter its constraints.

    Invariance and reconstruction are means (over pairs of environments, dimensions and rows) summed over modalities. Yet
    invariance grows with K, since environment e has noise of strength e · α1, and decorrelation "orth" with the batch size
    (`objectives.decorrelation`): choose their weights anew after a change of these.

    Fusion and head work on the invariant parts, `dim` wide per modality. With
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
                description="source of environments: noise in all directions (the paper), noise along the directions that "
                "move with the data's environments at a fixed label, or the data's environments themselves"
            ),
        ] = "virtual",
        dim: Dim = 8,
        hidden: Hidden = 64,
        noise: Annotated[EnvironmentNoise, Flat()] = EnvironmentNoise(),
        views: Annotated[ViewUse, Flat()] = ViewUse(),
        independence: Annotated[Decorrelation, Flat()] = Decorrelation(),
        weights: Annotated[TermWeights, Flat()] = TermWeights(),
        agreement: Annotated[Agreement, Flat()] = Agreement(),
    ) -> None:
        refuse_contradictions(source, noise, views)
        inner_method = make_inner(inner, invariant_backbone(backbone, dim, hidden, source, noise, views))
        hooks = replace(
            inner_method.hooks,
            check=self._check,
            on_epoch_start=self._measure,
            warm_up=self._warm_up,
            summary_lines=self._summary_lines,
            representations=self._representations,
            reconstruct=self._reconstruct,
        )
        super().__init__(inner_method, hooks=hooks, needs_environments=source == "given")
        self.source: Source = source
        self.noise, self.views, self.independence, self.weights = noise, views, independence, weights
        self.environments = noise.virtual(source)
        pairs = noise.makes_pairs and source != "given"
        self.needs_views = pairs or views.predict_on != "clean" or views.denoise
        self.names = self.splitter.names
        raw = noise.noise_at == "raw"
        self.raw = RawNoise(backbone.modalities, noise.noise_scale, noise.along(source)) if raw else None
        self.club = Club(len(self.names), dim, hidden) if independence.decorrelate == "club" else None
        self.watch = CollapseWatch(self.names)
        self.alignment = agreement.alignment
        self.cross_modal = agreement.module(self.names)

    @property
    def splitter(self) -> Invariant:
        """The module that splits the features, a part of the backbone."""
        assert isinstance(self.backbone.after, Invariant)
        return self.backbone.after

    def _check(self, development: Dataset) -> None:
        """Check the rows as the inner method does, and that environments of the data can be compared.

        Raises:
            DataError: the method needs environments of the data, and there is one, or too few rows of each.
        """
        self.inner.hooks.check(development)
        if self.source != "virtual":
            check_environments(development)

    def _warm_up(self) -> WarmUp:
        ramps = [ramp for weight, ramp in self.weights.schedules.values() if weight > 0]
        return self.inner.hooks.warm_up().joined(WarmUp(share=max(ramps, default=0.0)))

    def _measure(self, epoch: int, development: Dataset, generator: torch.Generator) -> None:
        if self.cross_modal is not None and epoch == 0:
            self.cross_modal.measure(self.backbone, development, generator)
        if self.source == "directed" and (self.raw is None or epoch == 0):
            rows = collect_features(self.backbone, development, "encoders" if self.raw is None else "inputs")
            find_directions(self._directions(), rows, self.backbone.task, self.noise.movement, generator)
        self.inner.hooks.on_epoch_start(epoch, development, generator)

    def _summary_lines(self) -> tuple[str, ...]:
        agreement = () if self.cross_modal is None else self.cross_modal.summary_lines()
        lines = (*self.inner.hooks.summary_lines(), *agreement)
        if self.source != "directed":
            return lines
        counts = {n: k for names, d in self._directions() for n, k in zip(names, d.counts, strict=True)}
        return *lines, directions_note(counts)

    def _representations(self, batch: Batch) -> Representations:
        """The (B, dim) invariant and (B, dim) spurious part of the clean features of each modality."""
        features = self.backbone.encode_signals(self.backbone.standardise(batch))
        return Representations(*self.splitter.both(features))

    def _reconstruct(self, parts: Representations) -> dict[str, Tensor]:
        return self.splitter.rebuilt(parts.predictive, parts.spurious)

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
            signals = self.raw(signals, strengths, generator, self.backbone.scales, batch.view.weight)
        features = self.backbone.encode_signals(signals)
        parts = self.splitter.views(features, present, strengths, generator, batch.view.weight)
        invariant, clean = parts.invariant, parts.invariant[:, 0]  # (M, 1 + V, B, dim), (M, B, dim)
        loss = self._prediction(invariant, present, signals, batch, progress, generator)
        terms = {
            **{name if name == "prediction" else f"inner/{name}": value for name, value in loss.terms.items()},
            "invariance": self._invariance(invariant, present, batch).sum(),
            **self._decorrelation(clean, parts.spurious, present),
            "reconstruction": parts.error.sum(),
        }
        total = loss.total
        for name, (weight, ramp) in self.weights.schedules.items():
            total = total + weight * warm_up(progress, ramp) * terms[name]
        if self.club is not None:
            total = total + terms["surprise"]
        if self.cross_modal is not None:
            terms["alignment"] = self.cross_modal(clean, present)
            total = total + self.alignment * terms["alignment"]
        spread = self.watch(clean.detach(), present, batch.view)
        monitors = {f"spread/{name}": value for name, value in zip(self.names, spread, strict=True)}
        predictive = dict(zip(self.names, clean.masked_fill(~present.unsqueeze(2), 0), strict=True))
        return Loss(total, terms, loss.risks, predictive, loss.output, {**loss.monitors, **monitors})

    def _directions(self) -> list[tuple[Sequence[str], Directions]]:
        """The directions of structured noise with their modalities."""
        if self.raw is not None:
            return [([name], directions) for name, directions in self.raw.directed()]
        return self.splitter.directions()

    def _prediction(
        self,
        invariant: Tensor,
        present: Tensor,
        signals: Mapping[str, Signal],
        batch: Batch,
        progress: float,
        generator: torch.Generator,
    ) -> Loss:
        """The weighted loss of the inner method on the chosen views of (M, 1 + V, B, dim) parts."""
        if self.cross_modal is not None and self.cross_modal.aligned:
            invariant = invariant.detach()  # or the prediction would bring back what one modality alone knows
        predict_on = self.views.predict_on
        if not isinstance(self.inner, ERM):
            views = encoded_views(batch, self.names, signals, invariant, present)
            return loss_of_views(self.inner, weighted(views, predict_on), progress, generator, batch.view)
        chosen = {"clean": slice(0, 1), "noisy": slice(1, None), "both": slice(None)}[predict_on]
        outputs = self._predict(invariant[:, chosen], present)  # all views at once give the same loss in less time
        risks = risks_of_each(self.backbone.task, outputs, batch.target)
        mean = (risks[0] + risks[1:].mean(0)) / 2 if predict_on == "both" else risks.mean(0)
        return Loss(mean.mean(), {"prediction": mean.mean()}, mean, {}, outputs[0])

    def _predict(self, views: Tensor, present: Tensor) -> Tensor:
        """(M, V, B, dim) parts and (M, B) presence → (V, B, outputs)."""
        count = views.shape[1]
        features = dict(zip(self.names, views.flatten(1, 2), strict=True))
        output = self.backbone.predict(features, dict(zip(self.names, present.repeat(1, count), strict=True)))
        return output.unflatten(0, (count, -1))

    def _invariance(self, invariant: Tensor, present: Tensor, batch: Batch) -> Tensor:
        """(M, 1 + V, B, dim) parts → (M,), or () between predictions, which are those of all modalities together."""
        distance = self.views.distance
        if self.source == "given" and distance != "kl":
            bins = label_bins(self.backbone.task, batch.target)
            return conditional_distance(invariant[:, 0], present, batch.env, bins, distance)
        compared = invariant if self.environments.draws == "one" else invariant[:, 1:]
        if distance != "kl":
            return invariance(compared.movedim(1, 0), present, distance)
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
        kind = self.independence
        return {"decorrelation": decorrelation(kind.decorrelate, clean, spurious, present, kind.off_diagonal).sum()}
