"""The arguments of `cmir` in groups. Users type them flat: each field is an argument of the method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from deconfound.errors import SpecError
from deconfound.nn.backbone import Backbone
from deconfound.nn.collect_features import ShiftKind
from deconfound.nn.cross_modal import CrossModal
from deconfound.nn.disentangle import (
    DisentanglerGroup,
    Hidden,
    Invariant,
    NoiseSite,
    SplitterSize,
    Splitting,
    by_width,
)
from deconfound.nn.environments import Environments, NoiseScale, Visits
from deconfound.objectives.decorrelation import PRODUCTS, Decorrelate
from deconfound.objectives.reconstruction import Reduction
from deconfound.search import Search

Source = Literal["virtual", "directed", "given"]
Distance = Literal["l1", "l2", "cosine", "kl", "unimodal"]
PredictOn = Literal["clean", "noisy", "both"]
Width = Annotated[
    int | None,
    Field(ge=1, le=65_536, description="width of each part, per modality; that of the modality's features if left out"),
]


@dataclass(frozen=True)
class Shape:
    """Widths and layers of splitter, decoder and predictor."""

    dim: Width = None
    hidden: Hidden = 128
    splitter: Annotated[
        SplitterSize,
        Field(
            description="layers of splitter and decoder: two hidden ones with ReLU (the paper), or one with GELU (small)"
        ),
    ] = "paper"
    predictor: Annotated[
        Literal["paper", "backbone"],
        Field(
            description="what predicts behind the fusion of the invariant parts: hidden, dim, hidden units with ReLU and an "
            "output (the paper), or the head of the backbone"
        ),
    ] = "paper"


@dataclass(frozen=True)
class EnvironmentNoise:
    """Noise that makes virtual environments: its strengths, its directions, and where it enters."""

    environments: Annotated[int, Field(ge=1, le=64, description="K virtual environments"), Search(1, 5)] = 4
    strength: Annotated[
        float, Field(ge=0, description="α(1): noise of environment e is e·α(1) of the scale"), Search(0.03, 1, log=True)
    ] = 0.1
    clean_view: Annotated[
        bool, Field(description="the clean view is compared too: K (K + 1) / 2 pairs of K + 1 views (the paper)")
    ] = True
    same_noise: Annotated[
        bool, Field(description="one draw ε for all views of a row, scaled by e·α(1), instead of one for each view")
    ] = False
    directed_strength: Annotated[
        float, Field(ge=0, description="α_s: as α(1), for noise along unstable directions"), Search(0.3, 5, log=True)
    ] = 2.0
    movement: ShiftKind = "means"
    noise_at: Annotated[
        NoiseSite, Field(description="noise on the features that are split, the raw input, or the hidden layer")
    ] = "features"
    noise_scale: Annotated[
        NoiseScale,
        Field(description="noise in own units (the paper), running standard deviations, or the running covariance"),
    ] = "absolute"
    draws: Visits = "all"

    @property
    def makes_pairs(self) -> bool:
        """Whether a row has two views to compare."""
        return self.clean_view or self.environments > 1 or self.draws == "one"

    def along(self, source: Source) -> tuple[float, float] | None:
        """(α, α_s) of structured noise; None for noise in all directions alone."""
        return (self.strength, self.directed_strength) if source == "directed" else None

    def virtual(self, source: Source) -> Environments:
        """The K environments; structured noise has strengths of its own, so its environments count in units of 1."""
        strength = 1.0 if source == "directed" else self.strength
        return Environments(self.environments, strength, self.draws, self.clean_view, self.same_noise)


@dataclass(frozen=True)
class ViewUse:
    """How the clean and the noisy views of a row are used."""

    distance: Annotated[
        Distance,
        Field(
            description="distance of two environments: between the invariant parts (l1: the paper; l2, cosine), or between "
            "predictions: of one predictor per modality (unimodal: the paper's other form) or of the method (kl)"
        ),
    ] = "l1"
    predict_on: Annotated[
        PredictOn, Field(description="views that the prediction is trained on; both weighs clean and noisy by half")
    ] = "clean"
    reconstruct: Annotated[
        Literal["clean", "denoise"],
        Field(description="clean features from the clean parts, or from the noisy ones"),
    ] = "clean"
    rebuild: Annotated[
        Literal["features", "standardised"],
        Field(
            description="what is rebuilt: the features (the paper), or their running standardisation, detached, so that an "
            "encoder cannot lower the error by shrinking them"
        ),
    ] = "features"

    @property
    def denoise(self) -> bool:
        """Whether noisy parts rebuild the clean features."""
        return self.reconstruct == "denoise"


@dataclass(frozen=True)
class Decorrelation:
    """The measure of what invariant and spurious part share."""

    decorrelate: Annotated[
        Decorrelate,
        Field(
            description="products of rows normalised over their dimensions or over the columns (the paper's Nor, axis not "
            "stated) or of unit rows (orth), squared correlations between columns, HSIC of Gaussian kernels (B × B per "
            "modality), or the CLUB bound on mutual information (a network learns q(spurious | invariant))"
        ),
    ] = "rows"
    off_diagonal: Annotated[float, Field(ge=0, le=1, description="α: weight of products between other rows")] = 0.1


@dataclass(frozen=True)
class TermWeights:
    """Weights of the three constraints, the shares of the steps over which they grow, and how each is reduced."""

    invariance: Annotated[float, Field(ge=0, description="λ1"), Search(0.01, 10, log=True)] = 0.1
    decorrelation: Annotated[float, Field(ge=0, description="λ2"), Search(0.001, 1, log=True)] = 0.01
    reconstruction: Annotated[float, Field(ge=0, description="λ3"), Search(0.01, 5, log=True)] = 0.05
    ramp: Annotated[float, Field(ge=0, le=1, description="share of the steps over which λ1 grows from 0")] = 0.0
    decorrelation_ramp: Annotated[
        float, Field(ge=0, le=1, description="share of the steps over which λ2 grows from 0")
    ] = 0.0
    reconstruction_ramp: Annotated[
        float, Field(ge=0, le=1, description="share of the steps over which λ3 grows from 0")
    ] = 0.0
    reduce_invariance: Annotated[
        Reduction,
        Field(
            description="the mean over rows, dimensions and pairs in units of the noise of K = 1, or the sum over all three"
        ),
    ] = "mean"
    reduce_decorrelation: Annotated[
        Reduction, Field(description="the mean of squared correlations or cosines, or the norm as printed")
    ] = "mean"
    reduce_reconstruction: Annotated[
        Reduction, Field(description="the mean over rows and dimensions, or the sum over both")
    ] = "mean"

    @property
    def schedules(self) -> dict[str, tuple[float, float]]:
        """Term → its full weight and its ramp."""
        return {
            "invariance": (self.invariance, self.ramp),
            "decorrelation": (self.decorrelation, self.decorrelation_ramp),
            "reconstruction": (self.reconstruction, self.reconstruction_ramp),
        }


@dataclass(frozen=True)
class Agreement:
    """Alignment of the invariant parts across modalities; none with weight 0."""

    alignment: Annotated[
        float,
        Field(ge=0, description="weight of agreement between modalities; the prediction then trains its head only"),
    ] = 0.0
    temperature: Annotated[float, Field(gt=0, description="τ of the agreement between modalities")] = 0.2
    alignment_needs: Annotated[
        float, Field(ge=-1, le=1, description="canonical correlation beyond the label from which a pair is aligned")
    ] = 0.5

    def module(self, names: Sequence[str]) -> CrossModal | None:
        """The module that measures and aligns these modalities; None with weight 0."""
        return CrossModal(names, self.temperature, self.alignment_needs) if self.alignment > 0 else None


def refuse_contradictions(
    source: Source, noise: EnvironmentNoise, views: ViewUse, independence: Decorrelation, weights: TermWeights
) -> None:
    """Check the arguments against each other.

    Raises:
        SpecError: two arguments exclude each other.
    """
    if source == "directed" and noise.noise_at == "hidden":
        raise SpecError("source = 'directed' knows directions of features and of inputs; use noise_at = 'features'")
    if source == "given" and views.distance in ("kl", "unimodal"):
        raise SpecError(
            f"distance = {views.distance!r} compares views of one row, and source = 'given' has none; use 'l1'"
        )
    if source == "given" and weights.reduce_invariance == "sum":
        raise SpecError("reduce_invariance = 'sum' adds up views of one row, and source = 'given' has none; use 'mean'")
    if weights.reduce_decorrelation == "sum" and independence.decorrelate not in PRODUCTS:
        raise SpecError(
            f"reduce_decorrelation = 'sum' needs decorrelate = 'rows', 'columns' or 'orth'; got {independence.decorrelate!r}, "
            "which is a mean by itself"
        )


def invariant_backbone(
    backbone: Backbone, shape: Shape, source: Source, noise: EnvironmentNoise, views: ViewUse, reduction: Reduction
) -> Backbone:
    """The backbone with splitters after its encoders; fusion and head work on the invariant parts.

    Args:
        reduction: of the reconstruction error.

    Raises:
        SpecError: the backbone has splitters already.
    """
    if backbone.after is not None:
        raise SpecError(
            "cmir splits features of encoders and cannot split again the parts of a method around it; name "
            "another inner method"
        )
    invariant = backbone.resized({name: shape.dim or width for name, width in backbone.widths.items()})
    if shape.predictor == "paper" and not invariant.fusion.predicts:
        middle = max(invariant.widths.values())
        invariant.head = predictor(invariant.fusion.width, shape.hidden, middle, backbone.task.outputs)
    splitting = Splitting(
        size=shape.splitter,
        noise_at=noise.noise_at,
        noise_scale=noise.noise_scale,
        same_noise=noise.same_noise,
        denoise=views.denoise,
        standardised=views.rebuild == "standardised",
        reduction=reduction,
        along=noise.along(source) if noise.noise_at == "features" else None,
    )
    groups = by_width(backbone.widths).items()
    invariant.after = Invariant(
        [DisentanglerGroup(names, width, shape.dim or width, shape.hidden, splitting) for width, names in groups]
    )
    return invariant


def predictor(width: int, hidden: int, middle: int, outputs: int) -> nn.Sequential:
    """h of the paper: (B, width) → hidden → ReLU → middle → hidden → ReLU → (B, outputs).

    The paper prints its two inner layers with input d behind an output of d'; taken literally they do not chain. This is
    our reading: the first maps hidden to `middle` = d, the second back, without an activation between.
    """
    first, second = nn.Linear(width, hidden), nn.Linear(hidden, middle)
    return nn.Sequential(first, nn.ReLU(), second, nn.Linear(middle, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
