import torch
from torch import distributed

from deconfound.nn.processes import common_generator, mean_over_processes


def test_one_process_agrees_with_itself() -> None:
    values, generator = torch.arange(3.0), torch.Generator().manual_seed(1)
    assert mean_over_processes(values) is values
    assert common_generator(generator) is generator


def one_of_two(rank: int, folder: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    mean = mean_over_processes(torch.tensor([float(rank), 4.0]))
    drawn = torch.randn(3, generator=common_generator(torch.Generator().manual_seed(rank)))
    torch.save((mean, drawn), f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


def test_two_processes_agree(tmp_path) -> None:
    torch.multiprocessing.spawn(one_of_two, (str(tmp_path),), nprocs=2)
    (mean, drawn), (other_mean, other_drawn) = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert mean.tolist() == other_mean.tolist() == [0.5, 4.0]
    assert torch.equal(drawn, other_drawn)
