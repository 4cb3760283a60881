"""What a method costs: parameters, operations of a forward row, seconds of a training step, peak memory.

Everything is measured in a process of its own, since the peak of a process never falls: python -m deconfound.training.cost RUN
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from deconfound.errors import RunError
from deconfound.io.files import write_json
from deconfound.io.reading import FileKind, read_json, reading
from deconfound.io.threads import cpu_threads
from deconfound.runs.members import check_single

if TYPE_CHECKING:
    import torch

    from deconfound.data.dataset import Dataset
    from deconfound.data.signal import Batch
    from deconfound.method import Method
    from deconfound.nn.own_encoders import OwnEncoder
    from deconfound.runs.run import Run
    from deconfound.runs.spec import TrainSpec

_FILE = FileKind("costs of a run", RunError, "remove the file and measure again")
FILE = "cost.json"
WARM_UP = 3


@dataclass(frozen=True)
class Cost:
    """The cost of one run on one machine; only `parameters` and `flops` are the same on every machine.

    Args:
        parameters: numbers that training sets or could set.
        flops: floating-point operations of the prediction of one row with all its steps. Matrix products, convolutions and
            attention are counted, a multiplication and an addition as two; activations and norms are not.
        step_seconds: median time of a training step: loss, gradients, clipping, AdamW; without reading rows.
        batch_size: B of such a step.
        steps: number of timed steps; a few that are not timed come first.
        peak_memory: bytes; on a GPU the largest sum of tensors, on a CPU the largest resident size of the process, which
            includes the libraries and the rows that were read.
        device: "cpu" or the name of the GPU.
        threads: number of CPU threads.
    """

    parameters: int
    flops: int
    step_seconds: float
    batch_size: int
    steps: int
    peak_memory: int
    device: str
    threads: int


def measure_cost(
    run: Run,
    *,
    dataset: Dataset | None = None,
    encoders: Mapping[str, OwnEncoder] | None = None,
    steps: int = 20,
) -> Cost:
    """Measure a run, finished or not, on the device that its specification names, and write cost.json into it.

    Training rows alone are used, and the trained weights are not touched. A fresh process does the work, unless data or
    encoders are passed in Python: then the peak memory is that of the calling process.

    Args:
        dataset: the run's data, if its specification does not name them or they moved.
        encoders: as for `fit`, those that the specification calls Python code.
        steps: number of training steps that are timed.

    Raises:
        RunError: the data have other modalities or another task than the run's, or the process fails.
    """
    check_single(run.path, "a cost")
    in_memory = encoders or run.code.encoders or run.code.method is not None
    from_files = dataset is None and not in_memory
    cost = _in_a_process(run.path, steps) if from_files else _measure(run, dataset, encoders, steps)
    write_json(run.path / FILE, asdict(cost))
    return cost


def read_cost(folder: Path) -> Cost | None:
    """What `measure_cost` wrote into a run directory; None if it did not.

    Raises:
        RunError: the file is damaged.
    """
    path = folder / FILE
    with reading(path, _FILE):
        if not path.exists():
            return None
        cost = Cost(**read_json(path, _FILE))
        if any(not isinstance(getattr(cost, f.name), str if f.name == "device" else int | float) for f in fields(Cost)):
            raise TypeError("a field of another kind")
        return cost


def forward_flops(method: Method, batch: Batch) -> int:
    """Operations of a prediction in which every step and every modality is present, whatever the masks say.

    Args:
        batch: B rows; pass one row for the operations per row.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from deconfound.data.signal import Signal

    full = {name: Signal(s.values, torch.ones_like(s.mask)) for name, s in batch.signals.items()}
    modes = {part: part.training for part in method.modules()}
    method.eval()
    counter = FlopCounterMode(display=False)
    # with gradients, plain attention and no oneDNN, since fused kernels are not counted
    enabled = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False  # its context manager `flags` warns on machines without a GPU
    try:
        with sdpa_kernel(SDPBackend.MATH), counter:
            method(replace(batch, signals=full))
    finally:
        torch.backends.mkldnn.enabled = enabled
    for part, mode in modes.items():
        part.training = mode
    return int(counter.get_total_flops())


def step_times(method: Method, batch: Batch, steps: int, *, rate: float, decay: float, clip: float) -> list[float]:
    """Seconds of each of `steps` training steps on one batch, which must lie on the method's device.

    Args:
        rate: learning rate; decay: weight decay; clip: largest norm of the gradient.
    """
    import torch

    from deconfound.training.optimiser import adamw

    optimiser = adamw([{"params": list(method.parameters())}], rate=rate, decay=decay)
    device = batch.target.device
    generator = torch.Generator(device).manual_seed(0)
    method.train()
    times = []
    for _ in range(WARM_UP + steps):
        _synchronize(device)
        start = time.perf_counter()
        optimiser.zero_grad()
        method.loss(batch, 0.5, generator).total.backward()
        torch.nn.utils.clip_grad_norm_(method.parameters(), clip)
        optimiser.step()
        _synchronize(device)
        times.append(time.perf_counter() - start)
    return times[WARM_UP:]


def _synchronize(device: torch.device) -> None:
    """Wait until a GPU has finished its queue."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _in_a_process(folder: Path, steps: int) -> Cost:
    command = [sys.executable, "-m", "deconfound.training.cost", str(folder.resolve()), "--steps", str(steps)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode != 0:
        reason = (process.stderr.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        raise RunError(f"the cost of {folder} could not be measured: {reason.removeprefix('deconfound: ')}")
    return Cost(**json.loads(process.stdout))


def _measure(run: Run, dataset: Dataset | None, encoders: Mapping[str, OwnEncoder] | None, steps: int) -> Cost:
    import torch

    from deconfound.runs.build import apply_data_spec, build_method, load_data

    train = run.spec.train
    # no checksum of all rows: reading them would count as memory, and only their shapes matter here
    data = apply_data_spec(load_data(run.spec.data) if dataset is None else dataset, run.spec.data).development()
    if data.modalities != run.modalities or data.task != run.task:
        raise RunError(
            f"{data.name} has other modalities or another task than the data that {run.path} was trained "
            "on; name a store of the same form"
        )
    with cpu_threads(train.threads), torch.random.fork_rng():
        torch.manual_seed(0)
        code = run.code if encoders is None else replace(run.code, encoders=encoders)
        method = build_method(run.spec, data.modalities, data.task, code)
        return _cost(method, data, train, steps)


def _cost(method: Method, data: Dataset, train: TrainSpec, steps: int) -> Cost:
    import torch

    from deconfound.runs.build import completed

    parameters = sum(parameter.numel() for parameter in method.parameters())
    flops = forward_flops(method, data.batch(range(1)))
    device = _device(train.accelerator)
    method = method.to(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    budget = completed(train, len(data.rows("train"))).budget
    size = min(budget.batch_size, len(data.rows("train")))
    batch = data.batch(torch.arange(size)).to(device)
    rates = {"rate": budget.learning_rate, "decay": train.weight_decay, "clip": train.clip}
    seconds = statistics.median(step_times(method, batch, steps, **rates))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return Cost(parameters, flops, seconds, size, steps, _peak(device), name, torch.get_num_threads())


def _device(accelerator: str) -> torch.device:
    """Where a run trains: the GPU for "auto" if there is one."""
    import torch

    if accelerator in ("auto", "gpu") and torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if accelerator == "mps" else "cpu")


def _peak(device: torch.device) -> int:
    """Bytes; of the process where its operating system tells, else the peak that a parent process may have left in it."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m deconfound.training.cost", description="Print the cost of a run as JSON."
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()
    from deconfound.errors import DeconfoundError
    from deconfound.runs.run import Run

    try:
        print(json.dumps(asdict(_measure(Run.open(arguments.run), None, None, arguments.steps))))
    except DeconfoundError as error:
        sys.exit(f"deconfound: {error}")


if __name__ == "__main__":
    _main()
