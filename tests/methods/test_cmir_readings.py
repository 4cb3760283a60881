"""Each reading of what the paper leaves open does what its name says."""

from itertools import permutations
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, kl_divergence

from deconfound.data.signal import Batch, Signal
from deconfound.data.task import Task
from deconfound.errors import SpecError
from deconfound.methods.cmir import CmIR
from deconfound.nn.backbone import Backbone
from deconfound.nn.club import Club
from deconfound.objectives.decorrelation import cross_correlation
from deconfound.objectives.dependence import normalised_hsic
from deconfound.registry import build
from support.cmir_small import MODALITIES, TASK, Plain, calls_of, generator, make


def views_of(method: CmIR, batch: Batch, strengths: list[int]) -> list[dict[str, Tensor]]:
    """Invariant parts of each modality under noise of each strength, drawn as `loss` draws them in eval mode."""
    features, draw, parts = method.backbone.encode_signals(method.backbone.standardise(batch)), generator(), {}
    for group in method.splitter.groups:
        width = features[group.names[0]].shape[1]
        noise = torch.randn(len(group.names), len(strengths) * len(batch), width, generator=draw)
        for place, name in enumerate(group.names):
            plain, split = Plain(group.split, place), noise[place].split(len(batch))
            views = [features[name] + 0.2 * e * n for e, n in zip(strengths, split, strict=True)]
            parts[name] = [plain.parts(view)[0] for view in views]
    return [{name: views[e] for name, views in parts.items()} for e in range(len(strengths))]


def test_kl_compares_the_predictions_of_all_modalities_together() -> None:
    for task in (TASK, Task.classification(("a", "b", "c"))):
        method, batch = make(task=task, distance="kl", noise_scale="absolute")
        found = method.eval().loss(batch, 1.0, generator()).terms["invariance"]
        outputs = [method.backbone.predict(parts, batch.present) for parts in views_of(method, batch, [1, 2, 3])]
        there = torch.stack(list(batch.present.values())).any(0)
        pairs = []
        for a, b in permutations(outputs, 2):
            if task is TASK:
                pairs.append((a - b).square()[there].mean())
            else:
                p, q = (Categorical(logits=output[there]) for output in (a, b))
                pairs.append(kl_divergence(p, q).mean())
        torch.testing.assert_close(found, torch.stack(pairs).mean(), rtol=1e-3, atol=1e-6)


def test_kl_needs_views_of_a_row() -> None:
    with pytest.raises(SpecError, match="distance = 'kl' compares views of one row, and source = 'given' has none"):
        make(distance="kl", source="given")
    method, batch = make(distance="kl", environments=1)
    assert method.loss(batch, 0.5, generator()).terms["invariance"].item() == 0


def test_one_environment_per_row_is_compared_with_the_clean_view() -> None:
    method, batch = make(environments=1, draws="one", noise_scale="absolute")
    found = method.eval().loss(batch, 1.0, generator()).terms["invariance"]
    noisy = views_of(method, batch, [1])[0]
    clean = method.representations(batch).predictive
    expected = sum((noisy[n] - clean[n])[batch.present[n]].abs().mean() for n in MODALITIES)
    torch.testing.assert_close(found, torch.as_tensor(expected))


def test_raw_noise_with_one_environment_per_row_encodes_two_rows_for_each_whatever_k() -> None:
    counts = []
    for draws, environments in (("one", 2), ("one", 16), ("pair", 16), ("all", 4)):
        method, batch = make(draws=draws, environments=environments, noise_at="raw")
        seen: list[int] = []
        method.backbone.encoders["text"].register_forward_hook(
            lambda _, given, __, seen=seen: seen.append(len(given[0]))
        )
        method.loss(batch, 0.5, generator())
        counts.append([rows // len(batch) for rows in seen])
    assert counts == [[2], [2], [3], [5]]  # one call of the encoder each time


@pytest.mark.parametrize(("choice", "function"), [("xcov", cross_correlation), ("hsic", normalised_hsic)])
def test_decorrelation_by_another_measure_is_its_sum_over_the_modalities(choice: str, function: Any) -> None:
    method, batch = make(rows=16, decorrelate=choice)
    found = method.eval().loss(batch, 1.0, generator()).terms["decorrelation"]
    parts, present = method.representations(batch), batch.present
    each = [function(parts.predictive[n], parts.spurious[n], present[n]) for n in MODALITIES]
    torch.testing.assert_close(found, torch.stack(each).sum())


def test_the_network_of_club_is_trained_by_its_likelihood_alone() -> None:
    method, batch = make(rows=32, decorrelate="club", invariance=0.0, reconstruction=0.0)
    loss = method.loss(batch, 1.0, generator())
    expected = loss.terms["prediction"] + 0.05 * loss.terms["decorrelation"] + loss.terms["surprise"]
    torch.testing.assert_close(loss.total, expected)
    assert method.club is not None
    inner, outer = list(method.club.parameters()), list(method.splitter.groups.parameters())
    of_bound = torch.autograd.grad(loss.terms["decorrelation"], inner, retain_graph=True, allow_unused=True)
    of_surprise = torch.autograd.grad(loss.terms["surprise"], outer, retain_graph=True, allow_unused=True)
    assert {*of_bound, *of_surprise} == {None}
    loss.total.backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in inner)
    method(batch)  # and prediction does without it
    assert calls_of(method.eval(), (Club,)) == []


def same_latent_in_other_columns(decorrelate: str) -> tuple[CmIR, Batch]:
    """z_inv = (u, 0) and z_spu = (0, u): orthogonal in every pair of rows, and each gives the other away."""
    torch.manual_seed(0)
    modalities = {"text": MODALITIES["text"]}
    backbone = Backbone.build(modalities, TASK, encoders={"text": "pool"}, dropout=0.0, hidden=8)
    method = build("methods", "cmir", backbone, dim=2, hidden=8, decorrelate=decorrelate, environments=1)
    split = method.splitter.groups[0].split
    with torch.no_grad():
        for part, here in ((split.invariant, 0), (split.spurious, 1)):
            part.weight[..., here], part.bias[..., here] = split.invariant.weight[..., 0], 0
            part.weight[..., 1 - here], part.bias[..., 1 - here] = 0, 0
    signal = Signal(torch.randn(128, 1, 4), torch.ones(128, 1, dtype=torch.bool))
    rows = torch.arange(128)
    return method, Batch({"text": signal}, torch.zeros(128), rows, torch.zeros_like(rows))


def shared(method: CmIR, batch: Batch) -> float:
    parts = method.representations(batch)
    return normalised_hsic(parts.predictive["text"], parts.spurious["text"], batch.present["text"]).item()


def test_orthogonal_rows_do_not_separate() -> None:
    method, batch = same_latent_in_other_columns("orth")
    term = method.loss(batch, 0.9, generator()).terms["decorrelation"]
    term.backward()
    assert term.item() == 0
    assert not any(bool(p.grad.any()) for p in method.parameters() if p.grad is not None)
    assert shared(method, batch) == pytest.approx(1)


@pytest.mark.parametrize("choice", ["xcov", "hsic", "club"])
def test_the_other_measures_separate_what_orthogonal_rows_share(choice: str) -> None:
    method, batch = same_latent_in_other_columns(choice)
    with torch.no_grad():  # off the maximum, where a measure is flat
        method.splitter.groups[0].split.spurious.weight.add_(0.02 * torch.randn(1, 8, 2))
    assert shared(method, batch) > 0.6
    optimiser = torch.optim.Adam(method.splitter.groups[0].split.parameters(), lr=0.01)
    own = torch.optim.Adam(method.club.parameters() if method.club else [torch.zeros(1)], lr=0.03)
    for step in range(150):
        terms = method.loss(batch, 0.9, generator(step)).terms
        optimiser.zero_grad()
        own.zero_grad()
        (terms["decorrelation"] + terms.get("surprise", torch.zeros(()))).backward()
        optimiser.step()
        own.step()
    assert shared(method, batch) < 0.4
