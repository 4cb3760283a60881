"""The bank is the last Q rows of a list, exact in a state_dict."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deconfound.nn.memory import Memory


def rows_of(memory: Memory) -> set[float]:
    return set(memory.values[: int(memory.pushed.clamp(max=memory.size)), 0].tolist())


@given(st.integers(1, 7), st.lists(st.integers(0, 12), max_size=6))
@settings(max_examples=60, deadline=None)
def test_it_holds_the_last_rows_that_were_pushed(size: int, batches: list[int]) -> None:
    memory, seen = Memory(size, 2, 1), 0
    for count in batches:
        values = torch.arange(seen + 1, seen + count + 1).float().unsqueeze(1).expand(-1, 2)
        memory.push(values, torch.ones(count, 1, dtype=torch.bool))
        seen += count
        assert rows_of(memory) == set(map(float, range(max(1, seen - size + 1), seen + 1)))
        assert int(memory.pushed) == seen


def test_an_empty_bank_draws_absent_entries() -> None:
    for generator in (None, torch.Generator()):
        values, present = Memory(4, 3, 2).draw(5, generator)
        assert values.shape == (5, 3)
        assert not present.any()


def filled(size: int = 8, count: int = 5) -> Memory:
    memory = Memory(size, 1, 1)
    memory.push(torch.arange(float(count)).unsqueeze(1), torch.ones(count, 1, dtype=torch.bool))
    return memory


def test_without_a_generator_the_draws_are_evenly_spaced() -> None:
    memory = filled(8, 8)
    assert memory.draw(4, None)[0].flatten().tolist() == [1, 3, 5, 7]
    assert memory.draw(8, None)[0].flatten().tolist() == list(range(8))
    assert filled(8, 2).draw(4, None)[0].flatten().tolist() == [0, 0, 1, 1]


def test_random_draws_are_uniform_over_what_is_there_and_follow_the_generator() -> None:
    memory = filled()
    one, two = (memory.draw(4000, torch.Generator().manual_seed(3))[0] for _ in range(2))
    assert torch.equal(one, two)
    counts = torch.bincount(one.flatten().long(), minlength=5)
    assert len(counts) == 5
    assert (counts - 800).abs().max() < 120  # five standard deviations


def test_the_state_is_everything() -> None:
    memory, other = filled(4, 6), Memory(4, 1, 1)
    other.load_state_dict(memory.state_dict())
    more = torch.tensor([[9.0]]), torch.tensor([[True]])
    for each in (memory, other):
        each.push(*more)
    assert torch.equal(memory.values, other.values)
    assert torch.equal(memory.draw(3, None)[0], other.draw(3, None)[0])


def test_what_is_kept_carries_no_gradient() -> None:
    memory, values = Memory(4, 1, 1), torch.ones(2, 1, requires_grad=True)
    memory.push(values * 2, torch.ones(2, 1, dtype=torch.bool))
    assert not memory.values.requires_grad
