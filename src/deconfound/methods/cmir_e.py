"""`cmir-e`: `cmir` for data with environments: noise along what moves with them, and equal risks (methods 2.6, ours)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from deconfound.compose import Preset, RegularizedMethod
from deconfound.method_names import PLAIN
from deconfound.methods.cmir import CmIR
from deconfound.nested_method import Inner
from deconfound.nn.backbone import Backbone
from deconfound.nn.cmir_arguments import Decorrelation, EnvironmentNoise, Shape, TermWeights, ViewUse
from deconfound.nn.collect_features import ShiftKind
from deconfound.nn.disentangle import Dim, Hidden
from deconfound.penalties.vrex import VREx
from deconfound.search import Search


class CmIRE(Preset):
    """`cmir` with source = "directed" and two environments, trained on the noisy views alone, plus a little V-REx.

    The directions in which features move between environments at a fixed label are charged by strong noise; a little
    noise in all directions stays. No prediction is trained on clean rows: it would learn to tell them from noisy ones and
    to use what the noise hides. Where no direction moves beyond chance the noise is that of `cmir`. Noise on raw
    inputs holds for every encoder; an encoder that learns can hide from noise behind it. It assumes that the features of
    causes keep their slope on the label across the environments; movement = "means" asks for more, that causes and labels
    keep their joint distribution, and fails where the causes shift. The price is in distribution, and under noise: a
    redundant shortcut is given up. Choose its weights on a left-out environment; validation in distribution prefers
    weights near zero.

    Refuses data with one environment, or with fewer than three rows per label in two of them.
    """

    one_label = True

    def __init__(
        self,
        backbone: Backbone,
        *,
        inner: Inner = PLAIN,
        dim: Dim = 64,
        hidden: Hidden = 64,
        strength: Annotated[
            float, Field(ge=0, description="α1 of noise in all directions"), Search(0.03, 1, log=True)
        ] = 0.1,
        directed_strength: Annotated[
            float, Field(ge=0, description="α_s of noise along unstable directions"), Search(0.5, 10, log=True)
        ] = 4.0,
        noise_at: Annotated[
            Literal["raw", "features"],
            Field(
                description="noise on the raw input, or on the features that are split: cheaper, for encoders that stay"
            ),
        ] = "raw",
        movement: ShiftKind = "slopes",
        invariance: Annotated[float, Field(ge=0, description="λ1"), Search(0.03, 3, log=True)] = 0.67,
        decorrelation: Annotated[float, Field(ge=0, description="λ2"), Search(0.001, 1, log=True)] = 0.08,
        reconstruction: Annotated[float, Field(ge=0, description="λ3"), Search(0.01, 5, log=True)] = 0.3,
        vrex: Annotated[float, Field(ge=0, description="weight of V-REx"), Search(0.5, 50, log=True)] = 5.0,
        ramp: Annotated[float, Field(ge=0, le=1, description="share of the steps over which λ1 and V-REx grow")] = 0.2,
    ) -> None:
        split = CmIR(
            backbone,
            inner=inner,
            source="directed",
            shape=Shape(dim, hidden, splitter="small", predictor="backbone"),
            noise=EnvironmentNoise(
                environments=2,
                strength=strength,
                clean_view=False,
                directed_strength=directed_strength,
                noise_at=noise_at,
                noise_scale="std",
                movement=movement,
            ),
            views=ViewUse(predict_on="noisy", rebuild="standardised"),
            independence=Decorrelation("orth"),
            weights=TermWeights(
                invariance=invariance, decorrelation=decorrelation, reconstruction=reconstruction, ramp=ramp
            ),
        )
        super().__init__(RegularizedMethod(split, {"vrex": VREx(split.backbone, 2, weight=vrex, ramp=ramp)}, {}))
