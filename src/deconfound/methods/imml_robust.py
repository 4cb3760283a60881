"""`imml-robust`: `imml` with the arguments that held up under a shifted confounder in our prototypes.

z is learned by alignment across modalities, half of it of each row with itself and half of rows of one label, by encoders
that no task gradient reaches; f is additive, fits what z leaves, and is averaged over x' with the row's own other modalities;
the average predicts.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from deconfound.compose import Preset
from deconfound.methods.imml import IMML
from deconfound.nn.backbone import Backbone
from deconfound.search import Search


class IMMLRobust(Preset):
    """IMML with alignment "both", training "plug", form "additive", head "mc-cond" with equal weights, "do", and a
    narrow z: a wide one keeps traces of what the alignment does not ask for, and f reads them.

    Alignment of each row with itself keeps what the modalities share; where the confounder moves that too, z counts
    against the rest of the predominant modality. Alignment by label errs the other way, so half of each. alignment =
    "instance" depends less on the confounder where it is reversed, at twice the price in distribution.

    It gives up accuracy in distribution for less dependence on a confounder that reaches the label through the predominant
    modality alone. `predict = "avg"` with `mix` interpolates between both. For the meaning of the average
    see `imml`.
    """

    one_label = True

    def __init__(
        self,
        backbone: Backbone,
        *,
        alignment: Annotated[
            Literal["instance", "both"],
            Field(description="each row with itself, or half that and half rows of one label"),
        ] = "both",
        temperature: Annotated[float, Field(gt=0, description="τ of the alignment"), Search(0.05, 1, log=True)] = 0.2,
        gamma_dk: Annotated[float, Field(ge=0, description="γ1: alignment"), Search(0.01, 10, log=True)] = 1.0,
        gamma_fd: Annotated[float, Field(ge=0, description="γ2: loss of f2"), Search(0.01, 10, log=True)] = 1.0,
        predict: Annotated[
            Literal["task", "do", "avg", "z-only", "auto"],
            Field(description="the method's own prediction; auto: lowest validation risk"),
        ] = "do",
        mix: Annotated[float, Field(ge=0, le=1, description="η: share of do in avg"), Search(0.0, 1.0)] = 0.5,
        predominant: Annotated[
            str, Field(description="name of a modality, or auto: measured after the warm-up")
        ] = "auto",
        warmup: Annotated[int, Field(ge=0, lt=2**31, description="W: epochs before it is measured")] = 3,
        bank: Annotated[int, Field(ge=1, le=1_000_000, description="Q: rows that x' is drawn from")] = 1024,
        draws_eval: Annotated[
            int, Field(ge=1, le=10_000, description="J at inference, evenly spaced in the bank")
        ] = 64,
        dim: Annotated[
            int,
            Field(
                ge=3, le=65_536, description="width of z, a bottleneck; 2 numbers of fixed length would hold one bit"
            ),
            Search(3, 64, log=True),
        ] = 4,
        hidden: Annotated[int, Field(ge=1, le=65_536, description="width of hidden layers")] = 64,
    ) -> None:
        super().__init__(
            IMML(
                backbone,
                alignment=alignment,
                training="plug",
                form="additive",
                head="mc-cond",
                weights="uniform",
                temperature=temperature,
                gamma_dk=gamma_dk,
                gamma_fd=gamma_fd,
                predict=predict,
                mix=mix,
                predominant=predominant,
                warmup=warmup,
                bank=bank,
                draws_eval=draws_eval,
                dim=dim,
                hidden=hidden,
            )
        )
