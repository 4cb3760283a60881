"""`cmir`: causal modality-invariant representations (Mai & Han, ACL 2026, acl-long.2119).

Each modality's pooled features X_m are split into an invariant and a spurious part. Virtual environments, noise of growing
strength, must not move the invariant part (invariance); the two parts share nothing (decorrelation) and rebuild the
features together (reconstruction). The invariant parts alone predict:

    L = L_pred + Σ_m (λ1 R_inv^m + λ2 R_dec^m + λ3 R_rec^m)

There is no reference code; each choice that the paper leaves open is an argument with both readings. What to expect:
isotropic noise penalises the encoder's Jacobian. That helps where the spurious part is weaker in the input than the
causal one; it cannot tell causes from correlates in general. Compare with `erm`, and with plain noise augmentation.
With environments that the data really have, see `cmir-e`; with causes that modalities share, `cmir-xm`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from deconfound.compose import loss_of_views
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch, Signal
from deconfound.errors import SpecError
from deconfound.method import Loss, MethodWrapper, Representations, WarmUp, refuse_labels
from deconfound.method_names import PLAIN
from deconfound.methods.erm import ERM
from deconfound.nested_method import Inner, encoded_views, make_inner, weighted
from deconfound.nn.backbone import Backbone
from deconfound.nn.club import Club
from deconfound.nn.cmir_arguments import (
    Agreement,
    Decorrelation,
    EnvironmentNoise,
    Shape,
    Source,
    TermWeights,
    ViewUse,
    invariant_backbone,
    refuse_contradictions,
)
from deconfound.nn.cmir_invariance import Invariance
from deconfound.nn.cmir_presets import PRESETS
from deconfound.nn.collapse import CollapseWatch
from deconfound.nn.collect_features import (
    check_environments,
    collect_features,
    directions_note,
    find_directions,
)
from deconfound.nn.directions import Directions
from deconfound.nn.disentangle import Invariant, Parts
from deconfound.nn.environments import RawNoise
from deconfound.objectives.averaging import risks_of_each
from deconfound.objectives.decorrelation import decorrelation
from deconfound.penalty import warm_up
from deconfound.registry import Flat


class CmIR(MethodWrapper):
    """The published objective on any encoder. Rows in which a modality is absent do not enter its constraints.

    Paper: noise of strength e · α(1), e = 1 … K, on X_m in its own units; L1 distance over the K (K + 1) / 2 pairs of the K
    noisy views and the clean one; the product of normalised parts; the squared error of the rebuilt X_m; splitter, decoder
    and predictor of three and four layers; parts as wide as X_m. Presets have its numbers by corpus.

    Ours: the means. The paper states neither whether the penalties are sums or means nor over what; "sum" adds up
    everything, rows too. Of the means none changes with the batch size, with the widths or, for linear maps, with K.

    With the encoder `pool`, X_m is the standardised input itself. Fusion and head work on the invariant parts.

    Warns `nn.collapse.CollapseWarning` once if an invariant part shrinks to a constant in training.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Mapping[str, Any]]]] = PRESETS

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
        shape: Annotated[Shape, Flat()] = Shape(),
        noise: Annotated[EnvironmentNoise, Flat()] = EnvironmentNoise(),
        views: Annotated[ViewUse, Flat()] = ViewUse(),
        independence: Annotated[Decorrelation, Flat()] = Decorrelation(),
        weights: Annotated[TermWeights, Flat()] = TermWeights(),
        agreement: Annotated[Agreement, Flat()] = Agreement(),
    ) -> None:
        refuse_contradictions(source, noise, views, independence, weights)
        refuse_labels(type(self), backbone, one_label=source != "virtual" or agreement.module(("", "")) is not None)
        split = invariant_backbone(backbone, shape, source, noise, views, weights.reduce_reconstruction)
        inner_method = make_inner(inner, split)
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
        self.raw = (
            RawNoise(backbone.modalities, noise.noise_scale, noise.along(source), noise.same_noise) if raw else None
        )
        widths = [(len(group.names), split.widths[group.names[0]]) for group in self.splitter.members()]
        club = independence.decorrelate == "club"
        self.clubs = nn.ModuleList(Club(count, dim, shape.hidden) for count, dim in widths) if club else None
        self.watch = CollapseWatch(self.names)
        self.alignment = agreement.alignment
        if self.alignment > 0 and len({*split.widths.values()}) > 1:
            raise SpecError("alignment compares parts of one width; give 'dim'")
        self.cross_modal = agreement.module(self.names)
        self.invariance = Invariance(
            split, self.names, source, self.environments, views.distance, weights.reduce_invariance
        )

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

    def forward(self, batch: Batch) -> Tensor:
        return self.inner(batch)

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        """As `Method.loss`. Terms: prediction, invariance, decorrelation, reconstruction, all but the first summed over
        the modalities; "unimodal" is the risk of the unimodal predictors that "unimodal" compares, and "surprise" is −log q
        of CLUB's network, which alone it trains, both with weight 1; "inner/NAME" are terms of the inner method. Monitors:
        those of the inner method, and `spread/MODALITY`, the standard deviation of its invariant part in this batch.
        """
        signals, count, device = self.backbone.standardise(batch), len(batch), batch.ids.device
        strengths = self.environments.draw(count, generator, device)[: None if self.needs_views else 0]
        if self.raw is not None:
            signals = self.raw(signals, strengths, generator, self.backbone.scales, batch.view.weight)
        features = self.backbone.encode_signals(signals)
        groups = self.splitter.views(features, batch.present, strengths, generator, batch.view.weight)
        parts = {name: part for group in groups for name, part in zip(group.names, group.invariant, strict=True)}
        loss = self._prediction(parts, signals, batch, progress, generator)
        terms = {
            **{name if name == "prediction" else f"inner/{name}": value for name, value in loss.terms.items()},
            **self.invariance(groups, parts, batch, lambda views: self._predict(views, batch)),
            **self._decorrelation(groups),
            "reconstruction": torch.cat([group.error for group in groups]).sum(),
        }
        total = loss.total + terms.get("unimodal", 0) + terms.get("surprise", 0)
        for name, (weight, ramp) in self.weights.schedules.items():
            total = total + weight * warm_up(progress, ramp) * terms[name]
        if self.cross_modal is not None:
            present = torch.cat([group.present for group in groups])
            terms["alignment"] = self.cross_modal(torch.cat([group.invariant[:, 0] for group in groups]), present)
            total = total + self.alignment * terms["alignment"]
        clean = {name: part[0].masked_fill(~batch.present[name][:, None], 0) for name, part in parts.items()}
        monitors = {**loss.monitors, **self._spread(groups, batch)}
        return Loss(total, terms, loss.risks, clean, loss.output, monitors)

    def _spread(self, groups: Sequence[Parts], batch: Batch) -> dict[str, Tensor]:
        spread = self.watch([(group.invariant[:, 0].detach(), group.present) for group in groups], batch.view)
        return {f"spread/{name}": value for name, value in zip(self.names, spread, strict=True)}

    def _directions(self) -> list[tuple[Sequence[str], Directions]]:
        """The directions of structured noise with their modalities."""
        if self.raw is not None:
            return [([name], directions) for name, directions in self.raw.directed()]
        return self.splitter.directions()

    def _prediction(
        self,
        parts: Mapping[str, Tensor],
        signals: Mapping[str, Signal],
        batch: Batch,
        progress: float,
        generator: torch.Generator,
    ) -> Loss:
        """The weighted loss of the inner method on the chosen views of {(1 + V, B, dim)} parts."""
        if self.cross_modal is not None and self.cross_modal.aligned:
            # or the prediction would bring back what one modality alone knows
            parts = {name: part.detach() for name, part in parts.items()}
        predict_on = self.views.predict_on
        if not isinstance(self.inner, ERM):
            views = encoded_views(batch, signals, parts)
            return loss_of_views(self.inner, weighted(views, predict_on), progress, generator, batch.view)
        chosen = {"clean": slice(0, 1), "noisy": slice(1, None), "both": slice(None)}[predict_on]
        outputs = self._predict({name: part[chosen] for name, part in parts.items()}, batch)
        risks = risks_of_each(self.backbone.task, outputs, batch.target)
        mean = (risks[0] + risks[1:].mean(0)) / 2 if predict_on == "both" else risks.mean(0)
        total = batch.mean(mean)
        return Loss(total, {"prediction": total}, mean, {}, outputs[0])

    def _predict(self, views: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """{(V, B, dim)} parts → (V, B, outputs), all views at once: the same in less time."""
        count = len(next(iter(views.values())))
        features = {name: part.flatten(0, 1) for name, part in views.items()}
        output = self.backbone.predict(features, {name: batch.present[name].repeat(count) for name in views})
        return output.unflatten(0, (count, -1))

    def _decorrelation(self, groups: Sequence[Parts]) -> dict[str, Tensor]:
        """The term summed over the modalities, and the one that trains CLUB's networks if there are any."""
        if self.clubs is not None:
            made = [
                club(group.invariant[:, 0], group.spurious, group.present)
                for club, group in zip(self.clubs, groups, strict=True)
            ]
            bound, surprise = (torch.cat(values).sum() for values in zip(*made, strict=True))
            return {"decorrelation": bound, "surprise": surprise}
        kind, reduction = self.independence, self.weights.reduce_decorrelation
        terms = [
            decorrelation(kind.decorrelate, g.invariant[:, 0], g.spurious, g.present, kind.off_diagonal, reduction)
            for g in groups
        ]
        return {"decorrelation": torch.cat(terms).sum()}
