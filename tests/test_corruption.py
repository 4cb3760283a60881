from __future__ import annotations

import torch

from deconfound.corruption import bernoulli, seeded, streams


def test_seeded_is_one_stream_for_equal_parts_on_every_machine() -> None:
    assert seeded("gaussian", 0.5, 0).initial_seed() == seeded("gaussian", 0.5, 0).initial_seed()
    assert seeded("a", "b").initial_seed() == 0x5DB652E39A1275EA, "the first 8 bytes of SHA-256 of 'a'␟'b'"
    different = [
        ("gaussian", 0.5, 0),
        ("gaussian", 0.5, 1),
        ("gaussian", 0.25, 0),
        ("laplace", 0.5, 0),
        ("gaussian0.5", 0),
    ]
    assert len({seeded(*parts).initial_seed() for parts in different}) == len(different)


def test_streams_do_not_depend_on_each_other_and_advance_the_generator() -> None:
    generator = torch.Generator().manual_seed(0)
    both, again = streams(generator, ["text", "audio"]), streams(generator, ["text", "audio"])
    alone = streams(torch.Generator().manual_seed(0), ["audio"])
    draw = [torch.rand(3, generator=one["audio"]) for one in (both, again, alone)]
    assert torch.equal(draw[0], draw[2])
    assert not torch.equal(draw[0], draw[1])
    assert not torch.equal(torch.rand(3, generator=both["text"]), draw[0])


def test_bernoulli_is_certain_at_its_ends() -> None:
    generator, device = torch.Generator().manual_seed(0), torch.device("cpu")
    assert not bool(bernoulli(0.0, (1000,), generator, device).any())
    assert bool(bernoulli(1.0, (1000,), generator, device).all())
