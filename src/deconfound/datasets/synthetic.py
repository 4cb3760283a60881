"""Structural causal models whose causes and shortcuts are known.

For every modality m and environment e, with Y of unit variance:

    C_1 … C_M ──► Y ──► S_1 … S_M          C_m  causal latents, their law is the same in every environment
      │                  │                 S_m  spurious latents, S = ρ_e Y + √(1-ρ_e²) N: only ρ_e changes
      └──────► X_m ◄─────┘                 X_m  = mix_m(C_m, b S_m) + sensor noise, mix_m injective

S is an anticausal shortcut: a predictor that uses it is better in the training environments and fails when ρ changes. The
splits are "train" and "valid" in the training environments, "test-iid" in the same ones, "test-flip" with every ρ_e reversed
and "test-zero" with ρ = 0. The best mean squared error from the causes alone is `label_noise` in all of them. Some
parameters break assumptions of methods: causes whose law shifts, wrong environments, and a split "test-mirror" in which the
shortcuts hold and the causes are reversed, which no method can foresee from one environment.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor

from deconfound.data.dataset import Dataset
from deconfound.data.quantile_edges import quantile_edges
from deconfound.data.signal import Signal
from deconfound.data.task import Task
from deconfound.datasets.mixing import Mixing
from deconfound.errors import SpecError, did_you_mean
from deconfound.io.limits import MOST_NUMBERS
from deconfound.registry import explain

INTERACTION = 0.4
"""Size of the interaction of two causes relative to the sum of all."""

TESTS = {"test-iid": 1.0, "test-flip": -1.0, "test-zero": 0.0}
"""Test split → factor on every ρ_e."""

TEST_SHIFT_FACTOR = 2.0
"""Factor on the shift of the causes in "test-flip" and "test-zero"."""

MODELS = ("shortcut", "imbalance")
"""Names of the structural causal models."""

Rho = Annotated[float, Field(ge=-1, le=1)]


class Synthetic(BaseModel):
    """Parameters of the model, checked and described one by one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="synthetic", min_length=1, description="dataset name in tables and reports")
    rows: int = Field(
        default=2000, ge=10, le=10_000_000, description="training rows; valid has a quarter, each test split a half"
    )
    modalities: int = Field(default=3, ge=1, le=26, description="M")
    causal: int = Field(default=2, ge=1, le=10_000, description="causal latents per modality")
    spurious: int = Field(default=2, ge=1, le=10_000, description="spurious latents per modality")
    features: int = Field(default=10, ge=1, le=10_000, description="D, observed features per modality")
    steps: int = Field(default=1, ge=1, le=100_000, description="T; above 1, sequences of T/2 to T steps")
    task: Literal["regression", "classification"] = Field(default="regression", description="what is predicted")
    classes: int = Field(default=3, ge=2, le=10_000, description="C, equally likely in training, by the quantiles of Y")
    rho: tuple[Rho, ...] = Field(default=(0.9, 0.6, 0.2), min_length=1, description="ρ_e, one per environment")
    flip: Rho | None = Field(
        default=None, description="ρ of all rows of test-flip; default: ρ_e reversed in each environment"
    )
    mirror: bool = Field(default=False, description="add test-mirror: shortcuts as in training, causes of -Y")
    content_shift: float = Field(
        default=0.0,
        ge=0,
        description="the mean of every cause ranges from minus this to this over the environments, and twice that in "
        "test-flip and test-zero",
    )
    wrong: float = Field(default=0.0, ge=0, le=1, description="share of rows with a random environment label")
    observe: Literal["mixture", "causes"] = Field(
        default="mixture", description="the mixture X_m, or the causes C_m themselves, which an oracle observes"
    )
    shared: float = Field(default=0.0, ge=0, le=1, description="correlation of C_m between modalities")
    spurious_modalities: int | None = Field(
        default=None, ge=0, description="number of modalities, from the last, that carry S; None for all"
    )
    amplitude: float = Field(default=1.0, ge=0, description="b, size of S relative to C in the features")
    nonlinearity: float = Field(default=0.8, ge=0, lt=1, description="nonlinearity of the mixing; 0 is linear")
    noise: float = Field(default=0.2, ge=0, description="standard deviation of the sensor noise")
    label_noise: float = Field(default=0.2, ge=0, lt=1, description="share of the variance of Y that no cause explains")
    seed: int = Field(default=0, ge=0, lt=2**31, description="seed of mechanisms and rows")

    @model_validator(mode="after")
    def _fits(self) -> Synthetic:
        latents = self.causal + self.spurious
        if self.features < latents:
            raise ValueError(
                f"features = {self.features} cannot be inverted to {latents} latents; use {latents} or more"
            )
        size = self.rows * self.steps * self.features * self.modalities
        if size > MOST_NUMBERS:
            raise ValueError(f"rows × steps × features × modalities = {size}, the limit is {MOST_NUMBERS}; use fewer")
        if (self.spurious_modalities or 0) > self.modalities:
            raise ValueError(
                f"spurious_modalities = {self.spurious_modalities} of {self.modalities} modalities; use fewer"
            )
        return self


def synthetic(model: str = "shortcut", **parameters: Any) -> Dataset:
    """Draw a dataset of a model; equal parameters give equal rows.

    Args:
        model: "shortcut", the model above, or "imbalance", the model of `deconfound.datasets.imbalance`.
        parameters: fields of `Synthetic` or `Imbalance`.

    Returns:
        For "shortcut": modalities "m1" … "mM" with D features; metadata "environment" and "rho"; latents "C/m1", "S/m1", …
        (N, d).

    Raises:
        SpecError: a model that does not exist, or a parameter that is misspelt or out of range.
    """
    if model == "imbalance":
        from deconfound.datasets.imbalance import imbalance

        return imbalance(**parameters)
    if model != "shortcut":
        raise SpecError(f"synthetic: there is no model {model!r}{did_you_mean(model, MODELS)}")
    return _shortcut(**parameters)


def _shortcut(**parameters: Any) -> Dataset:
    try:
        model = Synthetic(**parameters)
    except ValidationError as error:
        raise SpecError(f"synthetic: {explain(error, Synthetic)}") from error
    generator = torch.Generator().manual_seed(model.seed)
    mixing_shape = (model.causal + model.spurious, model.features, model.nonlinearity, model.noise)
    mixings = [Mixing.draw(*mixing_shape, generator) for _ in range(model.modalities)]
    tests = [*TESTS, *(["test-mirror"] if model.mirror else [])]
    sizes = {"train": model.rows, "valid": max(model.rows // 4, 2)} | {name: max(model.rows // 2, 2) for name in tests}
    samples = [_draw_latents(model, n, split, generator) for split, n in sizes.items()]
    env, strength, c, y, s = (torch.cat(column) for column in zip(*samples, strict=True))
    latent = torch.cat([c, model.amplitude * s], dim=2)
    signals = [mixing.observe(latent[:, m], generator, model.steps) for m, mixing in enumerate(mixings)]
    if model.observe == "causes":
        signals = [
            Signal(c[:, m, None].contiguous(), torch.ones(len(y), 1, dtype=torch.bool)) for m in range(len(mixings))
        ]
    names = [f"m{m + 1}" for m in range(model.modalities)]
    target, task = _target(model, y)
    return Dataset.build(
        model.name,
        task,
        dict(zip(names, signals, strict=True)),
        target,
        {
            "id": [f"{split}-{i}" for split, n in sizes.items() for i in range(n)],
            "environment": [f"e{e + 1}" for e in _mislabelled(model, env).tolist()],
            "rho": strength.double(),
        },
        [split for split, n in sizes.items() for _ in range(n)],
        environment=("environment",),
        provenance={"source": "deconfound.datasets.synthetic", "knobs": model.model_dump(mode="json")},
        latents={f"C/{name}": c[:, m].contiguous() for m, name in enumerate(names)}
        | {f"S/{name}": s[:, m].contiguous() for m, name in enumerate(names)},
    )


def _draw_latents(model: Synthetic, n: int, split: str, generator: torch.Generator) -> tuple[Tensor, ...]:
    """n rows of one split: environment, ρ, causes (n, M, causal), Y, shortcuts (n, M, spurious)."""
    env = torch.randint(len(model.rho), (n,), generator=generator)
    strength = TESTS.get(split, 1.0) * torch.tensor(model.rho)[env]
    if split == "test-flip" and model.flip is not None:
        strength = torch.full((n,), model.flip)
    c = _draw_causes(model, n, generator)
    if model.content_shift > 0:
        shift = torch.linspace(-1, 1, len(model.rho))[env] * (
            TEST_SHIFT_FACTOR if split in ("test-flip", "test-zero") else 1.0
        )
        c = c + model.content_shift * shift[:, None, None]
    y = _label(model, c, generator)
    if split == "test-mirror":
        y = -y
    return env, strength, c, y, _draw_shortcuts(model, y, strength, generator)


def _mislabelled(model: Synthetic, env: Tensor) -> Tensor:
    """(n,) environments, of which the share `wrong` is random; drawn by a separate generator."""
    generator = torch.Generator().manual_seed(model.seed + 1)
    chosen = torch.rand(len(env), generator=generator) < model.wrong
    return torch.where(chosen, torch.randint(len(model.rho), (len(env),), generator=generator), env)


def _draw_causes(model: Synthetic, n: int, generator: torch.Generator) -> Tensor:
    """(n, M, causal) standard normal, correlation `shared` between modalities, dimensions independent."""
    common = torch.randn(n, 1, model.causal, generator=generator)
    private = torch.randn(n, model.modalities, model.causal, generator=generator)
    return math.sqrt(model.shared) * common + math.sqrt(1 - model.shared) * private


def _label(model: Synthetic, c: Tensor, generator: torch.Generator) -> Tensor:
    """(n,) Y = f(C) + N of unit variance: a sum of all causes, an interaction of the first and the last, and noise."""
    n, modalities, causal = c.shape
    total = c.sum(dim=(1, 2)) / math.sqrt(modalities * causal * (1 + (modalities - 1) * model.shared))
    r = 0.0 if causal > 1 else 1.0 if modalities == 1 else model.shared  # correlation of the two interacting causes
    product = (c[:, 0, 0] * c[:, -1, -1] - r) / math.sqrt(1 + r * r)
    f = (total + INTERACTION * product) / math.sqrt(1 + INTERACTION**2)
    fresh = torch.randn(n, generator=generator)
    return math.sqrt(1 - model.label_noise) * f + math.sqrt(model.label_noise) * fresh


def _draw_shortcuts(model: Synthetic, y: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """(n, M, spurious) with correlation `strength` (n,) to Y in the modalities that carry S, and 0 in the others."""
    carriers = model.modalities if model.spurious_modalities is None else model.spurious_modalities
    carries = (torch.arange(model.modalities) >= model.modalities - carriers).float()
    weight = strength[:, None, None] * carries[None, :, None]
    fresh = torch.randn(len(y), model.modalities, model.spurious, generator=generator)
    return weight * y[:, None, None] + (1 - weight.square()).sqrt() * fresh


def _target(model: Synthetic, y: Tensor) -> tuple[Tensor, Task]:
    if model.task == "regression":
        return y, Task.regression()
    edges = quantile_edges(y[: model.rows], model.classes)
    return torch.bucketize(y, edges), Task.classification(tuple(f"y{k + 1}" for k in range(model.classes)))
