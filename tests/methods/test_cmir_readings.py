"""Each reading of what the paper leaves open does what its name says."""

from itertools import permutations
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, kl_divergence

from deconfound.data.signal import Batch, Signal
from deconfound.data.task import Task
from deconfound.errors import SpecError
from deconfound.methods.cmir import CmIR
from deconfound.nn.backbone import Backbone
from deconfound.nn.club import Club
from deconfound.objectives.decorrelation import cross_correlation
from deconfound.objectives.dependence import normalised_hsic
from deconfound.registry import build
from deconfound.runs.spec import Spec
from support.cmir_small import MODALITIES, TASK, Plain, calls_of, generator, make


def views_of(
    method: CmIR, batch: Batch, strengths: list[int], noise_of: list[int] | None = None
) -> list[dict[str, Tensor]]:
    """Invariant parts of each modality under noise of each strength, drawn as `loss` draws them in eval mode.

    Args:
        noise_of: those of the strengths that noise is drawn for; all if left out.
    """
    drawn = strengths if noise_of is None else noise_of
    features, draw, parts = method.backbone.encode_signals(method.backbone.standardise(batch)), generator(), {}
    for group in method.splitter.groups:
        width = features[group.names[0]].shape[1]
        noise = torch.randn(len(group.names), len(drawn) * len(batch), width, generator=draw)
        for place, name in enumerate(group.names):
            plain, split = Plain(group.split, place), noise[place].split(len(batch))
            split = [*([split[0]] * (len(strengths) - len(drawn))), *split]
            views = [features[name] + method.noise.strength * e * n for e, n in zip(strengths, split, strict=True)]
            parts[name] = [plain.parts(view)[0] for view in views]
    return [{name: views[e] for name, views in parts.items()} for e in range(len(strengths))]


def test_kl_compares_the_predictions_of_all_modalities_together() -> None:
    for task in (TASK, Task.classification(("a", "b", "c"))):
        method, batch = make(task=task, distance="kl", environments=3, strength=2.0, clean_view=False)
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
        gap = (5 + 10 + 13) / 3  # of 1² + 2², 1² + 3², 2² + 3²
        torch.testing.assert_close(found, torch.stack(pairs).mean() / gap, rtol=1e-3, atol=1e-7)


def test_unimodal_predictors_are_compared_and_learn_from_their_modality_alone() -> None:
    for task in (TASK, Task.classification(("a", "b", "c"))):
        method, batch = make(task=task, distance="unimodal", environments=1, strength=2.0)
        loss = method.eval().loss(batch, 1.0, generator())
        clean, noisy = views_of(method, batch, [0, 1], noise_of=[1])
        moved, risks = torch.zeros(()), torch.zeros(())
        for head, name in zip(method.invariance.heads, method.names, strict=True):
            there, a, b = batch.present[name], head(clean[name]), head(noisy[name])
            if task is TASK:
                moved = moved + (a - b).abs()[there].mean()
            else:
                p, q = Categorical(logits=a[there]), Categorical(logits=b[there])
                moved = moved + (kl_divergence(p, q) + kl_divergence(q, p)).mean() / 2
            risks = risks + task.risk(a, batch.target)[there].mean()
        torch.testing.assert_close(loss.terms["invariance"], moved, rtol=1e-3, atol=1e-7)
        torch.testing.assert_close(loss.terms["unimodal"], risks)
        weighted = sum(
            getattr(method.weights, n) * loss.terms[n] for n in ("invariance", "decorrelation", "reconstruction")
        )
        torch.testing.assert_close(loss.total, loss.terms["prediction"] + loss.terms["unimodal"] + weighted)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"distance": "kl", "source": "given"},
            "distance = 'kl' compares views of one row, and source = 'given' has none",
        ),
        ({"distance": "unimodal", "source": "given"}, "distance = 'unimodal' compares views of one row"),
        ({"reduce_invariance": "sum", "source": "given"}, "reduce_invariance = 'sum' adds up views of one row"),
        (
            {"reduce_decorrelation": "sum", "decorrelate": "xcov"},
            "reduce_decorrelation = 'sum' needs decorrelate = 'rows'",
        ),
        ({"preset": "mosy"}, "preset = 'mosy'.*'mosi', 'mosei'"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        make(**arguments)


def test_widths_that_differ_have_parts_that_differ_unless_told() -> None:
    encoders = {"encoders": dict.fromkeys(MODALITIES, "pool")}
    widths = {name: modality.shape[0] for name, modality in MODALITIES.items()}
    method, batch = make(backbone=encoders)
    assert {name: part.shape[1] for name, part in method.representations(batch).predictive.items()} == widths
    method, batch = make(backbone=encoders, dim=2)
    assert {name: part.shape[1] for name, part in method.representations(batch).predictive.items()} == dict.fromkeys(
        widths, 2
    )
    with pytest.raises(SpecError, match="alignment compares parts of one width; give 'dim'"):
        make(backbone=encoders, alignment=1.0)


def test_a_preset_fills_what_is_not_given_in_the_method_the_training_and_the_backbone() -> None:
    spec = Spec.of({"method": {"name": "cmir", "preset": "mustard", "strength": 0.5}, "train": {"batch_size": 8}})
    method = spec.method
    assert (method["environments"], method["strength"], method["invariance"], method["hidden"]) == (4, 0.5, 0.05, 48)
    assert (spec.train.batch_size, spec.train.learning_rate, spec.backbone.hidden) == (8, 2e-5, 128)
    assert Spec.of(spec.dump()) == spec


def test_the_predictor_of_the_paper_is_the_head_behind_any_fusion_that_does_not_predict() -> None:
    for fusion, ours in (("concat", True), ("gated", True), ("late", False)):
        method, _ = make(backbone={"fusion": fusion}, hidden=5, dim=3)
        sizes = [layer.out_features for layer in method.backbone.head if isinstance(layer, nn.Linear)] if ours else []
        assert sizes == ([5, 3, 5, 1] if ours else [])


def test_kl_of_one_view_is_nothing() -> None:
    method, batch = make(distance="kl", environments=1, clean_view=False)
    assert method.loss(batch, 0.5, generator()).terms["invariance"].item() == 0


def test_one_environment_per_row_is_compared_with_the_clean_view() -> None:
    method, batch = make(environments=1, draws="one", strength=0.2)
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
    expected = loss.terms["prediction"] + 0.01 * loss.terms["decorrelation"] + loss.terms["surprise"]
    torch.testing.assert_close(loss.total, expected)
    assert method.clubs is not None
    inner, outer = list(method.clubs.parameters()), list(method.splitter.groups.parameters())
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
    own = torch.optim.Adam(method.clubs.parameters() if method.clubs else [torch.zeros(1)], lr=0.03)
    for step in range(150):
        terms = method.loss(batch, 0.9, generator(step)).terms
        optimiser.zero_grad()
        own.zero_grad()
        (terms["decorrelation"] + terms.get("surprise", torch.zeros(()))).backward()
        optimiser.step()
        own.step()
    assert shared(method, batch) < 0.4


@pytest.mark.parametrize("distance", ["kl", "unimodal"])
def test_several_labels_add_up_their_divergences(distance: str) -> None:
    task = Task.multilabel(("a", "b", "c"))
    method, batch = make(task=task, distance=distance, environments=1, strength=2.0)
    loss = method.eval().loss(batch, 1.0, generator())
    clean, noisy = views_of(method, batch, [0, 1], noise_of=[1])
    if distance == "kl":
        pairs = [(method.backbone.predict(v, batch.present) for v in (clean, noisy))]
        rows = [torch.stack(list(batch.present.values())).any(0)]
    else:
        pairs = [(h(clean[n]), h(noisy[n])) for h, n in zip(method.invariance.heads, method.names, strict=True)]
        rows = [batch.present[name] for name in method.names]
    expected = torch.zeros(())
    for (a, b), there in zip(pairs, rows, strict=True):
        p, q = Bernoulli(logits=a[there]), Bernoulli(logits=b[there])
        expected = expected + ((kl_divergence(p, q) + kl_divergence(q, p)) / 2).sum(1).mean()
    torch.testing.assert_close(loss.terms["invariance"], expected, rtol=1e-3, atol=1e-7)
