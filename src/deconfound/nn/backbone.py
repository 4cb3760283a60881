"""`Backbone`: encoders, fusion and head. Every method wraps one, so comparisons are between methods alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, Any, cast

from pydantic import Field, ValidationError
from torch import Tensor, nn

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch, EncodedBatch, GroupMoments, Signal
from deconfound.data.task import Modality, Task
from deconfound.errors import DataError, SpecError, did_you_mean
from deconfound.nn.encoder_choice import EncoderChoice, make_component, make_encoder
from deconfound.nn.encoders.pool import Pool
from deconfound.nn.encoding_memory import EncodingMemory
from deconfound.nn.fusion import Fusion
from deconfound.nn.layers import encode_each, mlp, module_key
from deconfound.nn.standardise import Standardise, fit_scales
from deconfound.registry import arguments, explain
from deconfound.search import Search


@dataclass(frozen=True)
class _Recipe:
    """How the part behind the encoders is built, so that it can be built again for other widths."""

    fusion: Mapping[str, Any]
    task: Task
    hidden: int
    depth: int
    dropout: float

    def build(self, widths: Mapping[str, int]) -> tuple[Fusion, nn.Module]:
        shared = {"hidden": self.hidden, "depth": self.depth, "dropout": self.dropout}
        fusion: Fusion = make_component("fusions", self.fusion, shared, widths, self.task.outputs)
        if fusion.predicts:
            return fusion, nn.Identity()
        return fusion, mlp(fusion.width, self.hidden, self.task.outputs, depth=self.depth, dropout=self.dropout)


class Backbone(nn.Module):
    """One encoder per modality, a fusion, and a head that turns what is fused into the task's output.

    Make one with `Backbone.build`. The inputs are standardised inside by buffers that travel with the weights; until
    `set_scale` gives them the scale of the training rows they pass inputs as they are.

    Attributes:
        modalities: name → form of what comes in.
        widths: name → H_m, the width of the features that `fuse` expects.
        encoded: name → width of what the encoders make, the same unless the backbone is a `resized` one.
        after: module {(B, encoded)} → {(B, H_m)} that `encode` puts behind the encoders; None for nothing. A method sets it.
        memory: of what `encode` has encoded already; backbones that share encoders share it.
        task: what is predicted.
    """

    def __init__(
        self,
        modalities: Mapping[str, Modality],
        encoders: nn.ModuleDict,
        scales: nn.ModuleDict,
        widths: Mapping[str, int],
        recipe: _Recipe,
        encoded: Mapping[str, int] | None = None,
        predictor: Fusion | None = None,
    ) -> None:
        super().__init__()
        self.modalities, self.widths, self.task = dict(modalities), dict(widths), recipe.task
        self.encoded = dict(widths if encoded is None else encoded)
        self.scales, self.encoders, self._recipe = scales, encoders, recipe
        self.fusion, self.head = recipe.build(widths) if predictor is None else (predictor, nn.Identity())
        self.after: nn.Module | None = None
        self.memory = EncodingMemory()

    @classmethod
    def build(
        cls,
        modalities: Mapping[str, Modality],
        task: Task,
        *,
        encoders: Annotated[
            Mapping[str, EncoderChoice], Field(description="modality → encoder name, table with name, or module")
        ] = MappingProxyType({}),
        fusion: Annotated[str | Mapping[str, Any], Field(description="fusion name, or table with name")] = "concat",
        hidden: Annotated[
            int, Field(ge=1, description="width of features and hidden layers"), Search(16, 256, True)
        ] = 64,
        depth: Annotated[
            int, Field(ge=1, le=16, description="linear layers of the head and of an MLP"), Search(1, 3)
        ] = 2,
        dropout: Annotated[float, Field(ge=0, lt=1, description="share of units dropped"), Search(0.0, 0.5)] = 0.1,
        scale: Annotated[
            str | Mapping[str, str], Field(description="scaling of the inputs: one name, or modality → name")
        ] = "standard",
    ) -> Backbone:
        """Build encoders, fusion and head.

        `hidden`, `depth` and `dropout` reach every component that has such an argument and is not given its own:
        `encoders={"audio": {"name": "gru", "dropout": 0.3}}`.

        Args:
            modalities: such as `dataset.modalities`.
            encoders: for the modalities that should not have the default of their kind: vectors `mlp`, sequences `gru`,
                images `cnn`, tokens `pretrained-text`. Your own module takes (values (B, T, *F), mask (B, T)) and returns
                (B, H); H is found by a dry run.
            scale: one of `data.scales.SCALES`; modalities that are not named have "standard".

        Raises:
            SpecError: no modality, an unknown name, an argument out of range, or a module of
                another form.
        """
        options = {"encoders": encoders, "fusion": fusion, "hidden": hidden, "depth": depth, "dropout": dropout}
        options["scale"] = scale
        schema = arguments(cast("type[Any]", cls.build))
        try:
            schema(**options)
        except ValidationError as error:
            raise SpecError(f"backbone: {explain(error, schema)}") from error
        if not modalities:
            raise SpecError("a backbone needs a modality; the dataset has none")
        scales = dict.fromkeys(modalities, scale) if isinstance(scale, str) else dict(scale)
        for argument, names in (("encoders", encoders), ("scale", scales)):
            for name in names:
                if name not in modalities:
                    raise SpecError(f"{argument}: there is no modality {name!r}{did_you_mean(name, modalities)}")
        shared = {"depth": depth, "dropout": dropout}
        parts = {n: make_encoder(m, encoders.get(n), hidden, shared) for n, m in modalities.items()}
        return cls(
            modalities,
            nn.ModuleDict({module_key(name): module for name, (module, _) in parts.items()}),
            nn.ModuleDict({module_key(n): Standardise(m, scales.get(n, "standard")) for n, m in modalities.items()}),
            {name: width for name, (_, width) in parts.items()},
            _Recipe({"name": fusion} if isinstance(fusion, str) else dict(fusion), task, hidden, depth, dropout),
        )

    def resized(self, widths: Mapping[str, int], fusion: str | None = None) -> Backbone:
        """The same encoders and scales (shared, not copied) with a new fusion and head for features of other widths.

        For methods that predict from transformed features. `encode` still returns the features of the encoders; a method
        sets `after` to get features of the new widths from it. A method with a fusion of its own names it; arguments that the
        backbone was given for that fusion are kept.
        """
        recipe = self._recipe
        if fusion is not None and recipe.fusion.get("name") != fusion:
            recipe = replace(recipe, fusion={"name": fusion})
        resized = Backbone(self.modalities, self.encoders, self.scales, widths, recipe, self.encoded)
        resized.after, resized.memory = self.after, self.memory
        return resized

    def pooled(self, make: Callable[[Mapping[str, int]], Fusion]) -> Backbone:
        """The same scales (shared, not copied); the features are the mean of the standardised input over its steps.

        Args:
            make: modality → width of the features → fusion that predicts.

        Raises:
            SpecError: a modality of tokens.
        """
        pools = {name: Pool(modality, 0) for name, modality in self.modalities.items()}
        widths = {name: pool.width for name, pool in pools.items()}
        modules = nn.ModuleDict({module_key(name): pool for name, pool in pools.items()})
        return Backbone(self.modalities, modules, self.scales, widths, self._recipe, predictor=make(widths))

    def new_head(self, width: int) -> nn.Module:
        """An MLP of the size of the head, from (..., width) to (..., outputs), with weights of its own."""
        recipe = self._recipe
        return mlp(width, recipe.hidden, recipe.task.outputs, depth=recipe.depth, dropout=recipe.dropout)

    def set_scale(self, scale: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Take mean and standard deviation per modality, as `nn.standardise.training_scale` returns them.

        Raises:
            DataError: an unknown modality, or tensors of another shape.
        """
        for name, (mean, std) in scale.items():
            if name not in self.modalities:
                raise DataError(f"the backbone has no modality {name!r}{did_you_mean(name, self.modalities)}")
            cast("Standardise", self.scales[module_key(name)]).set_scale(mean, std)

    def fit_scales(self, development: Dataset) -> None:
        """Learn the scales from the training rows, see `nn.standardise.fit_scales`."""
        fit_scales({n: cast("Standardise", self.scales[module_key(n)]) for n in self.modalities}, development)

    def standardise(self, batch: Batch) -> dict[str, Signal]:
        """Modality → standardised signal, 0 at the steps that do not exist.

        Raises:
            DataError: the batch lacks a modality (one that is absent in all rows still needs its mask).
        """
        if isinstance(batch, EncodedBatch):
            return dict(batch.standardised)
        return self._standardise(self._own_signals(batch), batch.own)

    def _own_signals(self, batch: Batch) -> dict[str, Signal]:
        for name in self.modalities:
            if name not in batch.signals:
                raise DataError(
                    f"the batch has no modality {name!r}, only {', '.join(batch.signals)}; mask absent ones"
                )
        return {name: batch.signals[name] for name in self.modalities}

    def _standardise(self, signals: Mapping[str, Signal], own: Mapping[str, GroupMoments]) -> dict[str, Signal]:
        return {name: self.scales[module_key(name)](signal, own.get(name)) for name, signal in signals.items()}

    def encode_signals(self, signals: Mapping[str, Signal]) -> dict[str, Tensor]:
        """Standardised signals → modality → (B, encoded) what the encoders make, 0 where the modality is absent."""
        return encode_each(self.encoders, signals)

    def encode(self, batch: Batch) -> dict[str, Tensor]:
        """Modality → (B, H_m) features, 0 in rows where the modality is absent: of the encoders, and what is `after` them.

        Raises:
            DataError: the batch lacks a modality.
        """
        if isinstance(batch, EncodedBatch):
            return dict(batch.features)
        features = self._encode(self._own_signals(batch), batch.own)
        if self.after is None:
            return features
        present = batch.present
        return {name: part.masked_fill(~present[name][:, None], 0) for name, part in self.after(features).items()}

    def _encode(self, signals: Mapping[str, Signal], own: Mapping[str, GroupMoments]) -> dict[str, Tensor]:
        known = self.memory.recall(signals)
        fresh = self.encode_signals(self._standardise({n: s for n, s in signals.items() if n not in known}, own))
        self.memory.keep(signals, fresh)
        return {name: known[name] if name in known else fresh[name] for name in signals}

    def fuse(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """{(B, H_m)} features and {(B,)} bool presence → (B, W); an absent modality does not influence its row."""
        return self.fusion(features, present)

    def predict(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """{(B, H_m)} features and {(B,)} bool presence → (B, outputs) predictions or logits."""
        return self.head(self.fuse(features, present))


@contextmanager
def remembering(module: nn.Module, *batches: Batch) -> Iterator[None]:
    """Let all backbones of a module encode the signals of these batches once until the block ends, see `EncodingMemory`."""
    memories = {id(part.memory): part.memory for part in module.modules() if isinstance(part, Backbone)}
    with ExitStack() as stack:
        for memory in memories.values():
            stack.enter_context(memory.remembering(*batches))
        yield
