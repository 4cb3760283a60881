"""The split MLP, the outcome model's forms, and K-means."""

import pytest
import torch
from torch import Tensor, nn

from deconfound.nn.front_door import Averaging, FrontDoor, Pool, SplitMLP, k_means
from deconfound.objectives.front_door import Head

WIDTHS = {"text": 4, "audio": 3, "face": 5}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_split_mlp_is_an_mlp_of_the_joined_inputs() -> None:
    torch.manual_seed(0)
    split = SplitMLP((2, 3), 8, 2)
    joined = nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Linear(8, 2))
    with torch.no_grad():
        joined[0].weight.copy_(torch.cat([layer.weight for layer in split.parts], 1))
        joined[0].bias.copy_(split.parts[0].bias)
        joined[2].load_state_dict(split.last.state_dict())
    a, b = torch.randn(4, 1, 2), torch.randn(1, 6, 3)
    pairs = torch.cat([a.expand(4, 6, 2), b.expand(4, 6, 3)], 2)
    torch.testing.assert_close(split(a, b), joined(pairs))
    bound = 1 / 5**0.5
    assert all(parameter.abs().max() <= bound for layer in split.parts for parameter in layer.parameters())


def make(form: str = "full", plug: bool = False, centres: int = 0) -> tuple[FrontDoor, dict[str, Tensor], Pool]:
    torch.manual_seed(1)
    door = FrontDoor("text", WIDTHS, 2, 6, 2, form=form, plug=plug, centres=centres)  # type: ignore[arg-type]
    nn.init.normal_(door.join.absent)
    rows = {name: torch.randn(4, width) for name, width in WIDTHS.items()}
    draws = {name: torch.randn(5, width) for name, width in WIDTHS.items()}
    there = {name: torch.ones(5, dtype=torch.bool) for name in WIDTHS}
    there["text"], there["face"] = torch.arange(5) != 1, torch.arange(5) != 2
    return door, rows, Pool(draws, there)


def everywhere(rows: int = 4) -> dict[str, Tensor]:
    return {name: torch.ones(rows, dtype=torch.bool) for name in WIDTHS}


@pytest.mark.parametrize("form", ["full", "additive"])
@pytest.mark.parametrize("head", ["mc-product", "mc-cond", "nwgm"])
def test_the_average_runs_over_the_draws_that_have_the_modality(form: str, head: Head) -> None:
    door, rows, pool = make(form)
    z, present = torch.randn(4, 2), everywhere()
    present["text"] = torch.tensor([True, True, False, True])
    found, there = door.average(z, rows, present, pool, Averaging(head, "uniform", 0.2, True))
    assert there.tolist() == [True, True, False, True]
    a, drawn = door.join(rows, present), door.join(pool.features, pool.present)
    kept = [0, 2, 3, 4]
    for i in range(4):
        if head == "nwgm":
            expected = door.outcome(z[i], pool.features["text"][kept].mean(0), a[i]).softmax(0)
        else:
            shares = [
                door.outcome(z[i], pool.features["text"][j], a[i] if head == "mc-cond" else drawn[j]).softmax(0)
                for j in kept
            ]
            expected = torch.stack(shares).mean(0)
        torch.testing.assert_close(found[i].softmax(0), expected)


def test_no_draw_no_average() -> None:
    door, rows, pool = make()
    empty = Pool(pool.features, {name: torch.zeros(5, dtype=torch.bool) for name in WIDTHS})
    for head in ("mc-product", "mc-cond", "nwgm"):
        for weights in ("uniform", "similar"):
            how = Averaging(head, weights, 0.2, True)  # type: ignore[arg-type]
            found, there = door.average(torch.randn(4, 2), rows, everywhere(), empty, how)
            assert not there.any()
            assert torch.isfinite(found).all()


def test_in_plug_training_nothing_reaches_f1_through_f() -> None:
    door, rows, _ = make("additive", plug=True)
    a = door.join(rows, everywhere())
    door.outcome(torch.randn(4, 2), rows["text"], a).sum().backward()
    assert all(parameter.grad is None for parameter in door.direct.parameters())
    assert all(parameter.grad is not None for parameter in door.rest.parameters())


def test_a_dictionary_stands_in_for_the_draws_once_it_is_made() -> None:
    door, rows, pool = make(centres=3)
    z, how = torch.randn(4, 2), Averaging("dictionary", "uniform", 0.2, True)
    by_draws = door.average(z, rows, everywhere(), pool, Averaging("mc-cond", "uniform", 0.2, True))[0]
    torch.testing.assert_close(door.average(z, rows, everywhere(), pool, how)[0], by_draws)
    points = torch.randn(9, 4)
    door.summarise(points, generator())
    a = door.join(rows, everywhere())
    shares = [
        torch.stack([m * door.outcome(z[i], c, a[i]).softmax(0) for c, m in zip(door.centres, door.mass, strict=True)])
        for i in range(4)
    ]
    found = door.average(z, rows, everywhere(), pool, how)[0]
    torch.testing.assert_close(found.exp(), torch.stack([each.sum(0) for each in shares]))
    assert door.mass.sum().item() == pytest.approx(1)
    door.summarise(points[:2], generator())
    assert door.mass.tolist() == [0.5, 0.5, 0.0]


def test_k_means_agrees_with_scikit_learn_on_clusters() -> None:
    from sklearn.cluster import KMeans

    middle = torch.tensor([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
    points = torch.cat([m + 0.3 * torch.randn(20 + 10 * i, 2, generator=generator(i)) for i, m in enumerate(middle)])
    centres, mass = k_means(points, 3, generator(5))
    theirs = KMeans(3, init=centres.numpy(), n_init=1).fit(points.numpy())
    torch.testing.assert_close(centres, torch.from_numpy(theirs.cluster_centers_), rtol=1e-4, atol=1e-4)
    assert sorted(mass.tolist()) == pytest.approx([20 / 90, 30 / 90, 40 / 90])


def test_k_means_of_few_or_equal_points() -> None:
    centres, mass = k_means(torch.ones(3, 2), 5, generator())
    assert len(centres) == 3
    assert mass.sum().item() == pytest.approx(1)
