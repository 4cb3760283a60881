"""CmIR's loss against a plain second implementation, its hyper-parameters, and what inference leaves out."""

import pytest
import torch

from deconfound.data.signal import Batch, Signal
from deconfound.methods.cmir import CmIR
from deconfound.nn.collapse import CollapseWarning
from deconfound.nn.stacked import StackedLinear
from deconfound.registry import arguments
from support.cmir_small import MODALITIES, calls_of, generator, make
from support.tensor_watch import largest_tensor


def test_the_documented_defaults() -> None:
    fields = arguments(CmIR).model_fields
    expected = {
        "inner": "erm", "preset": None,
        "dim": None, "hidden": 128, "splitter": "paper", "predictor": "paper",
        "environments": 4, "strength": 0.1, "clean_view": True, "same_noise": False, "noise_at": "features",
        "noise_scale": "absolute", "draws": "all",
        "distance": "l1", "predict_on": "clean", "reconstruct": "clean", "rebuild": "features",
        "decorrelate": "rows", "off_diagonal": 0.1,
        "invariance": 0.1, "decorrelation": 0.01, "reconstruction": 0.05, "ramp": 0.0,
        "decorrelation_ramp": 0.0, "reconstruction_ramp": 0.0,
        "reduce_invariance": "mean", "reduce_decorrelation": "mean", "reduce_reconstruction": "mean",
        "source": "virtual", "movement": "means", "directed_strength": 2.0,
        "alignment": 0.0, "temperature": 0.2, "alignment_needs": 0.5,
    }  # fmt: skip
    assert {name: field.default for name, field in fields.items()} == expected
    assert all(field.description for field in fields.values())


def test_inference_runs_neither_the_spurious_branch_nor_the_decoder() -> None:
    method, batch = make()
    called = calls_of(method.eval(), (StackedLinear,))
    method(batch)
    parts = ("trunk.layers.0", "trunk.layers.1", "invariant")
    assert called == [f"inner.backbone.after.groups.0.split.{part}" for part in parts]


def test_training_runs_every_part_once_for_all_modalities_and_views() -> None:
    method, batch = make()
    called = calls_of(method, (StackedLinear,))
    method.loss(batch, 0.5, generator())
    assert len(called) == len(set(called)) == 7


def test_the_prediction_is_that_of_the_clean_invariant_parts() -> None:
    method, batch = make()
    method.eval()
    parts = method.representations(batch)
    for part in (parts.predictive, parts.spurious):
        assert {name: tuple(values.shape) for name, values in part.items()} == dict.fromkeys(MODALITIES, (8, 8))
    output = method.backbone.predict(parts.predictive, batch.present)
    torch.testing.assert_close(method(batch), output)


def test_absent_rows_do_not_enter_the_constraints() -> None:
    method, batch = make(rows=12, predict_on="clean")
    method.eval()
    rows = torch.arange(4, 12)
    gone = batch.without(*MODALITIES)
    mixed = Batch(
        {n: Signal(torch.cat([s.values, g.values]), torch.cat([s.mask, g.mask]))
         for (n, s), g in zip(batch.select(rows).signals.items(), gone.signals.values(), strict=True)},
        torch.cat([batch.target[rows], gone.target]), torch.arange(20), torch.zeros(20, dtype=torch.int64),
    )  # fmt: skip
    alone, together = (method.loss(b, 1.0, generator()).terms for b in (batch.select(rows), mixed))
    for name in ("decorrelation", "reconstruction"):
        torch.testing.assert_close(alone[name], together[name])


@pytest.mark.parametrize("term", ["invariance", "decorrelation", "reconstruction"])
def test_the_weight_of_each_term_grows_over_its_ramp(term: str) -> None:
    ramp = "ramp" if term == "invariance" else f"{term}_ramp"
    rest = {"invariance": 0.0, "decorrelation": 0.0, "reconstruction": 0.0, "ramp": 0.0}
    method, batch = make(**{**rest, term: 0.3, ramp: 0.2})
    method.eval()
    found = []
    for progress in (0.0, 0.1, 0.2, 0.9):
        loss = method.loss(batch, progress, generator())
        found.append(((loss.total - loss.terms["prediction"]) / loss.terms[term]).item())
    assert found == pytest.approx([0, 0.15, 0.3, 0.3], abs=1e-5)


def test_pairs_have_the_expectation_of_all_environments() -> None:
    every, batch = make(environments=4, draws="all")
    some, _ = make(environments=4, draws="pair")
    some.load_state_dict(every.state_dict())

    def mean(method: CmIR) -> float:
        with torch.no_grad():
            found = [method.eval().loss(batch, 1.0, generator(seed)).terms["invariance"].item() for seed in range(400)]
        return sum(found) / len(found)

    assert mean(some) == pytest.approx(mean(every), rel=0.03)


def test_one_environment_without_the_clean_view_has_no_pair() -> None:
    method, batch = make(environments=1, clean_view=False)
    assert method.loss(batch, 0.5, generator()).terms["invariance"].item() == 0


@pytest.mark.parametrize("site", ["features", "raw", "hidden"])
def test_no_noise_no_invariance_term(site: str) -> None:
    method, batch = make(strength=0.0, noise_at=site, predict_on="both", reconstruct="denoise")
    plain, _ = make(strength=0.0, environments=1)
    plain.load_state_dict(method.state_dict(), strict=False)
    loss, expected = (m.eval().loss(batch, 0.5, generator()) for m in (method, plain))
    assert loss.terms["invariance"].item() == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(loss.risks, expected.risks)
    torch.testing.assert_close(loss.terms["reconstruction"], expected.terms["reconstruction"])


def test_both_is_half_clean_half_noisy() -> None:
    risks = {}
    for choice in ("clean", "noisy", "both"):
        method, batch = make(predict_on=choice)
        risks[choice] = method.eval().loss(batch, 0.5, generator()).risks
    torch.testing.assert_close(risks["both"], (risks["clean"] + risks["noisy"]) / 2)
    assert not torch.allclose(risks["clean"], risks["noisy"])


def test_the_scale_of_features_changes_nothing_but_absolute_noise() -> None:
    loss = {}
    for scale in ("std", "absolute"):
        for factor in (1.0, 10.0):
            method, batch = make(noise_scale=scale, backbone={"encoders": dict.fromkeys(MODALITIES, "pool")})
            with torch.no_grad():
                for group in method.splitter.groups:
                    group.split.trunk.layers[0].weight.div_(factor)
            signals = {n: Signal(s.values * factor, s.mask) for n, s in batch.signals.items()}
            loss[scale, factor] = method.loss(batch.with_signals(signals), 0.5, generator()).terms["invariance"].item()
    assert loss["std", 10.0] == pytest.approx(loss["std", 1.0], rel=1e-4)
    assert loss["absolute", 10.0] < 0.5 * loss["absolute", 1.0]


def test_a_standardised_target_has_no_gradient_to_the_encoder_through_itself() -> None:
    method, batch = make(invariance=0.0, decorrelation=0.0, rebuild="standardised")
    with torch.no_grad():
        method.splitter.groups[0].split.trunk.layers[0].weight.zero_()
    loss = method.loss(batch, 0.5, generator())
    loss.terms["reconstruction"].backward()
    gradients = [p.grad for p in method.backbone.encoders.parameters() if p.grad is not None]
    assert gradients
    assert not any(bool(g.any()) for g in gradients)


def test_monitors_the_spread_and_warns_of_a_collapse() -> None:
    method, batch = make(rows=16)
    optimiser = torch.optim.SGD(method.parameters(), lr=0.0)
    for step in range(12):
        loss = method.loss(batch, 0.9, generator(step))
        optimiser.step()
    part = loss.features["text"][batch.present["text"]]
    torch.testing.assert_close(loss.monitors["spread/text"], part.std(0, correction=0).mean().detach())
    with torch.no_grad():
        method.splitter.groups[0].split.invariant.weight.mul_(1e-4)

    def many_steps() -> None:
        for step in range(60):
            method.loss(batch, 0.9, generator(step))

    with pytest.warns(CollapseWarning, match="text, audio, face") as caught:
        many_steps()
    assert len(caught) == 1


def test_nothing_of_size_rows_squared_or_pairs_of_environments() -> None:
    method, batch = make(rows=256, environments=8, draws="all", dim=4, hidden=8)
    largest = largest_tensor(lambda: method.loss(batch, 0.5, generator()).total.backward())
    assert largest <= 3 * (1 + 8) * 256 * 8  # modalities × views × rows × the widest layer
    assert 3 * (1 + 8) * 256 * 8 < 256 * 256


def test_learns_a_simple_task() -> None:
    method, batch = make(rows=64)
    batch = Batch(batch.signals, batch.signals["text"].values[:, 0, 0], batch.ids, batch.env)
    optimiser = torch.optim.Adam(method.parameters(), lr=0.01)
    for step in range(150):
        loss = method.loss(batch, step / 150, generator(step))
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()
    assert loss.terms["prediction"].item() < 0.1 * batch.target.var().item()
    assert loss.terms["reconstruction"].item() < 3 * 0.6
