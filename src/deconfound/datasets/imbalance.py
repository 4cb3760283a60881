"""A predominant and an auxiliary modality, a hidden confounder, and the truth under interventions for every row.

    U → B,  U → Y,  U → D if content > 0        U  hidden confounder, ±1
    D → Y,  A → Y                               D  content of x_p, B its context, A content of x_a
    x_p shows (D, B),  x_a shows A              B, D and A have unit variance in training

    B = context · U + N          D = content · U + shared · A + N          Y = 1[w_D D + w_A A + w_DA D A + w_U U + N > 0]

Several values of "context" make as many environments of equal shares, in which the context tells the confounder more or less
well; the metadata column "environment" names them in all splits. All else is the same in all of them.

With "content" at 0 the confounder is in the context alone, above 0 in the content too. The auxiliary content A is

    parent     of D (the default): A = N, not a descendant of x_p
    child      of x_p: D = content · U + N and A = shared · D + leak · B + N, which carries the context on
    collider   of x_p and U: D as before and A = shared · D + leak · B + opened · U + N; conditioning on it opens a path to U

Splits differ in what the confounder of x_p is: in "train", "valid" and "test-iid" it is U; in "test-do" a fresh draw, which
cuts the arrow U → x_p and is do(x_p) with x_p drawn from P(x_p | its observed parents); in "test-flip" it is -U. All else is
the same. The latents hold for every row, from (D, B, A) without the sensor noise,

    bayes-do    P(Y=1 | do(x_p), x_a), the best predictor in "test-do", and the aim of an interventional prediction
    bayes-iid   P(Y=1 | x_p, x_a) in training, the best predictor in "test-iid"
    effect      P(Y=1 | do(x_p)), the mean of bayes-do over A as it is under do(x_p)

in closed form: U has two values, everything else is Gaussian given U, and Y is a probit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor

from deconfound.data.dataset import Dataset
from deconfound.data.task import Task
from deconfound.datasets.mixing import Mixing
from deconfound.errors import SpecError
from deconfound.registry import explain

Split = Literal["train", "valid", "test-iid", "test-do", "test-flip"]
Correlation = Annotated[float, Field(ge=0, lt=1)]
SPLITS: tuple[Split, ...] = ("train", "valid", "test-iid", "test-do", "test-flip")
CLASSES = ("no", "yes")


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, (int, float)) else value


class Imbalance(BaseModel):
    """Parameters of the model, checked and described one by one."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(default="imbalance", min_length=1, description="dataset name in tables and reports")
    rows: int = Field(default=3000, ge=8, le=10_000_000, description="training rows; valid has a quarter")
    test_rows: int = Field(default=3000, ge=2, le=10_000_000, description="rows of each test split")
    context: Annotated[tuple[Correlation, ...], BeforeValidator(_as_tuple)] = Field(
        default=(0.9,),
        min_length=1,
        description="correlation of context B and confounder U in training; several: one per environment",
    )
    content: float = Field(default=0.0, ge=0, lt=1, description="U → D; above 0 the content is confounded too")
    auxiliary: Literal["parent", "child", "collider"] = Field(
        default="parent", description="A is a parent of the content, a child of x_p, or a child of x_p and U"
    )
    shared: float = Field(default=0.4, ge=0, lt=1, description="strength of the arrow between A and D; 0 for none")
    leak: float = Field(default=0.3, ge=0, lt=1, description="child, collider: strength of B → A")
    opened: float = Field(default=0.4, ge=0, lt=1, description="collider: strength of U → A")
    effect_content: float = Field(default=0.74, description="w_D, in standard deviations of Y's own noise")
    effect_auxiliary: float = Field(default=0.32, description="w_A: a stronger or weaker auxiliary")
    effect_both: float = Field(default=0.0, description="w_DA: interaction of content and auxiliary")
    effect_confounder: float = Field(default=0.79, description="w_U")
    features: int = Field(default=16, ge=2, le=10_000, description="D, observed features per modality")
    nuisance: int = Field(default=2, ge=0, le=10_000, description="latents per modality without an effect on Y")
    nonlinearity: float = Field(default=0.5, ge=0, lt=1, description="nonlinearity of the mixing; 0 is linear")
    noise: float = Field(default=0.3, ge=0, description="standard deviation of the sensor noise of x_p")
    auxiliary_noise: float = Field(default=0.3, ge=0, description="standard deviation of the sensor noise of x_a")
    seed: int = Field(default=0, ge=0, description="seed of mechanisms and rows")

    @model_validator(mode="after")
    def _fits(self) -> Imbalance:
        if self.features < 2 + self.nuisance:
            raise ValueError(
                f"features = {self.features} cannot show {2 + self.nuisance} latents; use {2 + self.nuisance} or more"
            )
        if min(self.own_content, self.own_auxiliary) <= 0:
            raise ValueError(
                "content, shared, leak and opened leave no variance of its own to D or A; lower one of them"
            )
        return self

    @property
    def mean_context(self) -> float:
        """Correlation of context and confounder over all rows."""
        return sum(self.context) / len(self.context)

    @property
    def own_content(self) -> float:
        """Variance of D's own noise."""
        return 1 - self.content**2 - (self.shared**2 if self.auxiliary == "parent" else 0)

    @property
    def own_auxiliary(self) -> float:
        """Variance of A's own noise; A has unit variance over all environments."""
        if self.auxiliary == "parent":
            return 1.0
        r, q, u = self.shared, self.leak, self.from_confounder
        explained = r**2 + q**2 + u**2 + 2 * r * q * self.content * self.mean_context
        return 1 - explained - 2 * u * (r * self.content + q * self.mean_context)

    @property
    def from_confounder(self) -> float:
        """Strength of U → A."""
        return self.opened if self.auxiliary == "collider" else 0.0


@dataclass(frozen=True, eq=False)
class Latents:
    """Variables of the graph: (N,) float64 tensors, label in {0, 1}, and (N,) int64 environments from 0."""

    confounder: Tensor
    content: Tensor
    context: Tensor
    auxiliary: Tensor
    label: Tensor
    environment: Tensor


def draw(model: Imbalance, n: int, split: Split, generator: torch.Generator) -> Latents:
    """Draw n rows of a split."""
    sign = [2.0 * torch.randint(2, (n,), generator=generator).double() - 1 for _ in range(2)]
    own = torch.randn(4, n, generator=generator, dtype=torch.float64)
    u = sign[0]
    confounder = {"test-do": sign[1], "test-flip": -u}.get(split, u)  # of x_p, which equals U in training
    environment = torch.arange(n) % len(model.context)
    tie = torch.tensor(model.context, dtype=torch.float64)[environment]
    b = tie * confounder + (1 - tie**2).sqrt() * own[0]
    d = model.content * confounder + model.own_content**0.5 * own[1]
    a = model.own_auxiliary**0.5 * own[2]
    if model.auxiliary == "parent":
        d = d + model.shared * a
    else:
        a = a + model.shared * d + model.leak * b + model.from_confounder * u
    label = (_score(model, d, a) + model.effect_confounder * u + own[3] > 0).double()
    return Latents(u, d, b, a, label, environment)


def _score(model: Imbalance, d: Tensor, a: Tensor) -> Tensor:
    return model.effect_content * d + model.effect_auxiliary * a + model.effect_both * d * a


@dataclass(frozen=True, eq=False)
class Truth:
    """(N,) Bayes-optimal probabilities of Y = 1; see the module docstring."""

    do: Tensor
    iid: Tensor
    effect: Tensor


def truth(model: Imbalance, content: Tensor, context: Tensor, auxiliary: Tensor) -> Truth:
    """The Bayes predictors at given values of D, B and A, each (N,)."""
    d, b, a = content.double(), context.double(), auxiliary.double()
    from_context = _density(model, b) - _density(model, -b)
    expected = model.shared * a if model.auxiliary == "parent" else 0.0
    from_content = 2 * model.content * (d - expected) / model.own_content
    natural = model.shared * d + model.leak * b  # mean of A given x_p under child and collider, less that of U
    from_auxiliary = torch.zeros_like(a)
    if model.auxiliary == "collider":
        from_auxiliary = 2 * model.opened * (a - natural) / model.own_auxiliary
    score = _score(model, d, a)
    return Truth(
        _over_confounder(model, score, from_auxiliary),
        _over_confounder(model, score, from_auxiliary + from_context + from_content),
        _effect(model, d, natural),
    )


def _density(model: Imbalance, context: Tensor) -> Tensor:
    """(N,) log Σ_e p(B | U = 1, e) up to a constant; the density given U = -1 is that at -B."""
    tie = torch.tensor(model.context, dtype=torch.float64)
    width = 1 - tie**2
    return torch.logsumexp(-((context.unsqueeze(1) - tie) ** 2) / (2 * width) - width.log() / 2, 1)


def _over_confounder(model: Imbalance, score: Tensor, log_odds: Tensor) -> Tensor:
    """Σ_u P(u) Φ(score + w_U u) with log P(u=1)/P(u=-1) given."""
    high = torch.sigmoid(log_odds)
    w = model.effect_confounder
    return high * torch.special.ndtr(score + w) + (1 - high) * torch.special.ndtr(score - w)


def _effect(model: Imbalance, d: Tensor, natural: Tensor) -> Tensor:
    """Mean over U, and over A given do(x_p) and U, of P(Y = 1 | D, A, U): a probit of a Gaussian is a probit."""
    slope = model.effect_auxiliary + model.effect_both * d
    width = (1 + slope.square() * model.own_auxiliary).sqrt()
    total = torch.zeros_like(d)
    for u in (-1.0, 1.0):
        mean = torch.zeros_like(d) if model.auxiliary == "parent" else natural + model.from_confounder * u
        score = model.effect_content * d + slope * mean + model.effect_confounder * u
        total = total + 0.5 * torch.special.ndtr(score / width)
    return total


def imbalance(**parameters: Any) -> Dataset:
    """Draw a dataset of the model above; equal parameters (fields of `Imbalance`) give equal rows.

    Returns:
        Modalities "predominant" and "auxiliary" with D features; a binary label; metadata "environment" if there are
        several; latents (N, 1): "C/predominant" (D), "S/predominant" (B), "C/auxiliary" (A), "U", "bayes-do",
        "bayes-iid", "effect".

    Raises:
        SpecError: a parameter that is misspelt or out of range.
    """
    try:
        model = Imbalance(**parameters)
    except ValidationError as error:
        raise SpecError(f"imbalance: {explain(error, Imbalance)}") from error
    generator = torch.Generator().manual_seed(model.seed)
    mixing_shapes = {
        "predominant": (2 + model.nuisance, model.noise),
        "auxiliary": (1 + model.nuisance, model.auxiliary_noise),
    }
    mixings = {
        name: Mixing.draw(latents, model.features, model.nonlinearity, noise, generator)
        for name, (latents, noise) in mixing_shapes.items()
    }
    sizes = {"train": model.rows, "valid": max(model.rows // 4, 2)}
    sizes |= dict.fromkeys(SPLITS[2:], model.test_rows)
    samples = [draw(model, sizes[split], split, generator) for split in SPLITS]
    u, d, b, a, y, e = (
        torch.cat([getattr(sample, name) for sample in samples]) for name in Latents.__dataclass_fields__
    )
    metadata = {"id": [f"{split}-{i}" for split in SPLITS for i in range(sizes[split])]}
    several = len(model.context) > 1
    if several:
        metadata["environment"] = [f"e{number + 1}" for number in e.tolist()]
    observed = {"predominant": [d, b], "auxiliary": [a]}
    signals = {}
    for name, latents in observed.items():
        private = torch.randn(len(y), model.nuisance, generator=generator)
        signals[name] = mixings[name].observe(torch.cat([torch.stack(latents, 1).float(), private], 1), generator)
    return Dataset.build(
        model.name,
        Task.classification(CLASSES),
        signals,
        y.long(),
        metadata,
        [split for split in SPLITS for _ in range(sizes[split])],
        environment=("environment",) if several else (),
        provenance={"source": "deconfound.datasets.imbalance", "knobs": model.model_dump(mode="json")},
        latents=_named_latents(model, u, d, b, a),
    )


def _named_latents(model: Imbalance, u: Tensor, d: Tensor, b: Tensor, a: Tensor) -> dict[str, Tensor]:
    """Name → (N, 1) float32 variables of the graph and Bayes-optimal predictions."""
    optimum = truth(model, d, b, a)
    latents = {"C/predominant": d, "S/predominant": b, "C/auxiliary": a, "U": u}
    latents |= {"bayes-do": optimum.do, "bayes-iid": optimum.iid, "effect": optimum.effect}
    return {name: values.float().unsqueeze(1) for name, values in latents.items()}
