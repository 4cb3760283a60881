"""Each finding on a made dataset that has the fault, and on one that has not."""

import re
from collections.abc import Callable

import pytest
import torch

from deconfound.data.dataset import Dataset
from deconfound.data.describe import describe
from deconfound.data.findings import find_all
from deconfound.data.linear_probe import probe
from deconfound.data.retask import retask
from deconfound.data.signal import Signal
from deconfound.data.task import Task
from deconfound.errors import DataError

SIZES = {"train": 180, "valid": 60, "test": 60}
N = sum(SIZES.values())
SPLIT = [split for split, size in SIZES.items() for _ in range(size)]
ABC = Task.classification(("a", "b"))


def made(
    change: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], None] = lambda *_: None,
    *,
    task: Task = ABC,
    labels: torch.Tensor | None = None,
    groups: int = 10,
) -> Dataset:
    """300 rows of images and sounds that tell a balanced label; `change` edits images, sounds and the sound mask in place."""
    generator = torch.Generator().manual_seed(0)
    target = torch.arange(N) % 2 if labels is None else labels
    img = torch.randn(N, 1, 6, generator=generator) + target[:, None, None].float()
    snd = torch.randn(N, 5, 4, generator=generator) + target[:, None, None].float()
    mask = torch.ones(N, 5, dtype=torch.bool)
    change(img, snd, mask)
    signals = {"img": Signal(img, torch.ones(N, 1, dtype=torch.bool)), "snd": Signal(snd * mask[..., None], mask)}
    speakers = [f"{split}{i % (groups if split == 'test' else 10)}" for i, split in enumerate(SPLIT)]
    metadata = {"id": [f"r{i}" for i in range(N)], "speaker": speakers}
    return Dataset.build("made", task, signals, target, metadata, SPLIT, group=("speaker",))


def test_a_sound_dataset_has_no_finding():
    assert find_all(made()) == []
    target = torch.linspace(-3, 3, N)[torch.randperm(N, generator=torch.Generator().manual_seed(1))]
    assert find_all(made(task=Task.regression(protocol="mmsa-regression"), labels=target)) == []


def absent_for_a_class(img, snd, mask):
    mask[: 180 + 60][torch.arange(240) % 2 == 1] = False


def absent_in_train(img, snd, mask):
    mask[:180:2] = False
    mask[1:180:4] = False


def copied(img, snd, mask):
    for rows in (img, snd):
        rows[240:245] = rows[:5].clone()
        rows[11] = rows[10]


def constant_in_train(img, snd, mask):
    img[:180, 0, 2] = 7


def far(img, snd, mask):
    snd[250, 3, 1] = 1e4


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (absent_for_a_class, r"snd is absent in 100.0% of 90 rows of train with the class 'b' but in 0.0% of 90"),
        (absent_for_a_class, r"snd is absent in 50.0% of 180 rows of train but in 0.0% of 60 rows of test"),
        (absent_in_train, r"snd is absent in 75.0% of 180 rows of train but in 0.0% of 60 rows of valid"),
        (copied, r"5 of 60 rows of test equal rows of train in all modalities .'r240', 'r241', 'r242' and 2 more"),
        (copied, r"2 rows .2 of train. in 1 sets of equal inputs have contradicting labels .'r10', 'r11'"),
        (constant_in_train, r"img: 1 of 6 features .2. hardly vary in the 180 rows of train but do in the 60 of test"),
        (far, r"snd: 1 values in 1 of 60 rows of test .'r250'. lie more than 30 standard deviations"),
    ],
)
def test_faults_of_the_inputs(change, expected):
    dataset = made(change)
    lines = find_all(dataset)
    assert any(re.search(expected, line) for line in lines), lines
    assert set(lines) <= set(describe(dataset).warnings)
    assert all("; " in line or ": " in line for line in lines)


def test_a_class_that_a_test_split_lacks():
    labels = torch.arange(N) % 2
    labels[240:] = 0
    assert any(
        "no row of test has the class 'b': test has 60 rows of 1 of 2" in line for line in find_all(made(labels=labels))
    )


def test_imbalance_makes_the_probe_judge_by_balanced_accuracy():
    labels = (torch.arange(N) % 25 == 0).long()
    dataset = made(labels=labels)
    assert any("classes are imbalanced: 8 of 180 rows of train are 'b'" in line for line in find_all(dataset))
    result = probe(dataset, "snd")
    assert (result.metric, result.constant) == ("balanced-accuracy", 0.5)
    assert result.score > 0.8
    assert probe(made(), "snd").metric == "accuracy"


def test_a_split_of_few_groups():
    lines = find_all(made(groups=1))
    assert lines == [
        line for line in lines if line.startswith("test has 1 groups of speaker in 60 rows, and 'speaker=test0'")
    ]
    assert lines


def test_a_rare_negative_class_is_asked_about():
    labels = torch.arange(N) % 2 + 1
    labels[::15] = 0
    task = Task.classification(("-1", "0", "1"))
    assert any("the class '-1' has 20 of 300 rows" in line for line in find_all(made(task=task, labels=labels)))
    even = find_all(made(task=task, labels=torch.arange(N) % 3))
    assert even == []


@pytest.mark.parametrize(
    ("protocol", "factor", "expected"),
    [
        ("mmsa-regression", 1.0, "fill less than half"),
        ("mag-nonzero", 1.0, "fill less than half"),
        ("mmsa-regression", 3.5, "of 300 labels are beyond it"),
        ("sims", 3.0, "of 300 labels are beyond it"),
        ("sims", 1.0, None),
        ("mmsa-regression", 3.0, None),
        ("regression", 50.0, None),
    ],
)
def test_labels_against_the_protocol(protocol, factor, expected):
    labels = torch.linspace(-1, 1, N)[torch.randperm(N, generator=torch.Generator().manual_seed(1))] * factor
    lines = find_all(made(task=Task.regression(protocol=protocol), labels=labels))
    assert [expected in line for line in lines] == ([True] if expected else [])


def test_describe_works_on_three_rows():
    for task, target in ((Task.regression(), torch.tensor([0.0, 1.0, 2.0])), (ABC, torch.tensor([0, 1, 0]))):
        signal = Signal(
            torch.randn(3, 1, 2, generator=torch.Generator().manual_seed(0)), torch.ones(3, 1, dtype=torch.bool)
        )
        dataset = Dataset.build(
            "tiny", task, {"x": signal}, target, {"id": ["a", "b", "c"]}, ["train", "valid", "test"]
        )
        assert describe(dataset).rows == {"train": 1, "valid": 1, "test": 1}


def test_another_task_and_protocol():
    labels = torch.arange(N) % 3 - 1.0
    dataset = made(task=Task.regression(), labels=labels)
    classes = retask(dataset, "classification", None)
    assert (classes.task.classes, classes.task.protocol) == (("-1", "0", "1"), "classification")
    assert torch.equal(retask(classes, "regression", "sims").target, dataset.target)
    with pytest.raises(DataError, match="judges regression, the task is classification"):
        retask(classes, None, "sims")
    with pytest.raises(DataError, match="classes such as 'a' are no numbers"):
        retask(made(), "regression", None)
    with pytest.raises(DataError, match="are no classes"):
        retask(made(task=Task.regression(), labels=labels / 7), "classification", None)


def test_classes_that_join_several_labels():
    task = Task.classification(("happy", "sad", "happy|sad", "angry|sad", "angry"))
    (line,) = [line for line in find_all(made(task=task, labels=torch.arange(N) % 5)) if "join" in line]
    assert re.match(
        r"2 of 5 classes join several names by '\|', such as 'happy\|sad', .* for several labels a row", line
    )
    apart = Task.classification(("rock & roll", "folk", "drum & bass", "pop"))
    assert not any("join" in line for line in find_all(made(task=apart, labels=torch.arange(N) % 4)))


def test_a_target_of_several_columns_is_refused():
    signals, metadata = (
        {"x": Signal(torch.ones(N, 1, 1), torch.ones(N, 1, dtype=torch.bool))},
        {"id": [str(i) for i in range(N)]},
    )
    with pytest.raises(DataError, match=r"shape \(300, 2\); expected \(N,\); for several labels a row"):
        Dataset.build("made", Task.regression(), signals, torch.rand(N, 2), metadata, SPLIT)
