"""`cmir-xm`: `cmir` for causes that modalities share; needs no environments (methods 2.6, ours)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from deconfound.compose import Preset
from deconfound.method_names import PLAIN
from deconfound.methods.cmir import CmIR
from deconfound.nested_method import Inner
from deconfound.nn.backbone import Backbone
from deconfound.nn.cmir_arguments import Agreement, EnvironmentNoise, Shape, TermWeights, Width
from deconfound.nn.disentangle import Hidden
from deconfound.search import Search


class CmIRXM(Preset):
    """`cmir` whose invariant parts agree between modalities; the prediction trains its head alone.

    Right where the causes are shared by the modalities and every shortcut is private to one of them; harmful where each
    modality has causes of its own. So a pair is aligned only if its canonical correlation beyond the label, on held-out
    training rows, reaches `alignment_needs`; without such a pair the method is plain `cmir`. The correlations are
    printed and kept with the run.
    """

    one_label = True

    def __init__(
        self,
        backbone: Backbone,
        *,
        inner: Inner = PLAIN,
        dim: Width = None,
        hidden: Hidden = 128,
        strength: Annotated[
            float, Field(ge=0, description="α(1): noise of environment e is e·α(1)"), Search(0.03, 1, log=True)
        ] = EnvironmentNoise.strength,
        invariance: Annotated[
            float, Field(ge=0, description="λ1"), Search(0.01, 10, log=True)
        ] = TermWeights.invariance,
        decorrelation: Annotated[
            float, Field(ge=0, description="λ2"), Search(0.001, 1, log=True)
        ] = TermWeights.decorrelation,
        reconstruction: Annotated[
            float, Field(ge=0, description="λ3"), Search(0.01, 5, log=True)
        ] = TermWeights.reconstruction,
        alignment: Annotated[
            float, Field(gt=0, description="weight of agreement between modalities"), Search(0.1, 10, log=True)
        ] = 1.0,
        temperature: Annotated[float, Field(gt=0, description="τ of the agreement"), Search(0.05, 1, log=True)] = 0.2,
        alignment_needs: Annotated[
            float, Field(ge=-1, le=1, description="canonical correlation from which a pair is aligned")
        ] = 0.5,
    ) -> None:
        super().__init__(
            CmIR(
                backbone,
                inner=inner,
                shape=Shape(dim or max(backbone.widths.values()), hidden),  # parts of one width can be compared
                noise=EnvironmentNoise(strength=strength),
                weights=TermWeights(invariance=invariance, decorrelation=decorrelation, reconstruction=reconstruction),
                agreement=Agreement(alignment=alignment, temperature=temperature, alignment_needs=alignment_needs),
            )
        )
