"""The arguments of `cmir` in groups. Users type them flat: each field is an argument of the method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from deconfound.errors import SpecError
from deconfound.nn.backbone import Backbone
from deconfound.nn.collect_features import ShiftKind
from deconfound.nn.cross_modal import CrossModal
from deconfound.nn.disentangle import DisentanglerGroup, Invariant, NoiseSite, by_width
from deconfound.nn.environments import Environments, NoiseScale, Visits
from deconfound.objectives.decorrelation import Decorrelate
from deconfound.search import Search

Source = Literal["virtual", "directed", "given"]
Distance = Literal["l1", "l2", "cosine", "kl"]
PredictOn = Literal["clean", "noisy", "both"]


@dataclass(frozen=True)
class EnvironmentNoise:
    """Noise that makes virtual environments: its strengths, its directions, and where it enters."""

    environments: Annotated[int, Field(ge=1, le=64, description="K virtual environments"), Search(2, 5)] = 3
    strength: Annotated[
        float, Field(ge=0, description="α1: noise of environment e is e·α1 of the scale"), Search(0.03, 1, log=True)
    ] = 0.2
    directed_strength: Annotated[
        float, Field(ge=0, description="α_s: as α1, for noise along unstable directions"), Search(0.3, 5, log=True)
    ] = 2.0
    movement: ShiftKind = "means"
    noise_at: Annotated[
        NoiseSite, Field(description="noise on the features that are split, the raw input, or the hidden layer")
    ] = "features"
    noise_scale: Annotated[
        NoiseScale, Field(description="noise in running standard deviations, own units, or the running covariance")
    ] = "std"
    draws: Visits = "auto"

    @property
    def makes_pairs(self) -> bool:
        """Whether a row has two views to compare."""
        return self.environments > 1 or self.draws == "one"

    def along(self, source: Source) -> tuple[float, float] | None:
        """(α, α_s) of structured noise; None for noise in all directions alone."""
        return (self.strength, self.directed_strength) if source == "directed" else None

    def virtual(self, source: Source) -> Environments:
        """The K environments; structured noise has strengths of its own, so its environments count in units of 1."""
        return Environments(self.environments, 1.0 if source == "directed" else self.strength, self.draws)


@dataclass(frozen=True)
class ViewUse:
    """How the clean and the noisy views of a row are used."""

    distance: Annotated[
        Distance,
        Field(
            description="distance of two environments: between the invariant parts or (kl) between the predictions made from "
            "them: the divergence of class probabilities, for numbers the squared difference"
        ),
    ] = "l1"
    predict_on: Annotated[
        PredictOn, Field(description="views that the prediction is trained on; both weighs clean and noisy by half")
    ] = "clean"
    reconstruct: Annotated[
        Literal["clean", "denoise"],
        Field(description="clean features from the clean parts, or from the noisy ones"),
    ] = "clean"

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
            description="squared cosines between rows, squared correlations between columns, HSIC of Gaussian kernels "
            "(B × B per modality), or the CLUB bound on mutual information (a network learns q(spurious | invariant))"
        ),
    ] = "orth"
    off_diagonal: Annotated[float, Field(ge=0, lt=1, description="α: weight of cosines between other rows")] = 0.1


@dataclass(frozen=True)
class TermWeights:
    """Weights of the three constraints, and the shares of the steps over which they grow."""

    invariance: Annotated[float, Field(ge=0, description="λ1"), Search(0.01, 10, log=True)] = 0.3
    decorrelation: Annotated[float, Field(ge=0, description="λ2"), Search(0.001, 1, log=True)] = 0.05
    reconstruction: Annotated[float, Field(ge=0, description="λ3"), Search(0.01, 5, log=True)] = 0.5
    ramp: Annotated[float, Field(ge=0, le=1, description="share of the steps over which λ1 grows from 0")] = 0.2
    decorrelation_ramp: Annotated[
        float, Field(ge=0, le=1, description="share of the steps over which λ2 grows from 0")
    ] = 0.0
    reconstruction_ramp: Annotated[
        float, Field(ge=0, le=1, description="share of the steps over which λ3 grows from 0")
    ] = 0.0

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


def refuse_contradictions(source: Source, noise: EnvironmentNoise, views: ViewUse) -> None:
    """Check the arguments against each other.

    Raises:
        SpecError: two arguments exclude each other.
    """
    if source == "directed" and noise.noise_at == "hidden":
        raise SpecError("source = 'directed' knows directions of features and of inputs; use noise_at = 'features'")
    if source == "given" and views.distance == "kl":
        raise SpecError("distance = 'kl' compares views of one row, and source = 'given' has none; use 'l1'")


def invariant_backbone(
    backbone: Backbone, dim: int, hidden: int, source: Source, noise: EnvironmentNoise, views: ViewUse
) -> Backbone:
    """The backbone with splitters after its encoders; fusion and head work on the invariant parts.

    Args:
        dim: width of each part, per modality.
        hidden: width of the hidden layers.

    Raises:
        SpecError: the backbone has splitters already.
    """
    if backbone.after is not None:
        raise SpecError(
            "cmir splits features of encoders and cannot split again the parts of a method around it; name "
            "another inner method"
        )
    invariant = backbone.resized(dict.fromkeys(backbone.widths, dim))
    site: dict[str, Any] = {
        "noise_at": noise.noise_at,
        "noise_scale": noise.noise_scale,
        "denoise": views.denoise,
        "along": noise.along(source) if noise.noise_at == "features" else None,
    }
    groups = by_width(backbone.widths).items()
    invariant.after = Invariant([DisentanglerGroup(names, width, dim, hidden, **site) for width, names in groups])
    return invariant
