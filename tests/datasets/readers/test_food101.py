"""Food-101: recipes with an image."""

from deconfound.datasets.readers.food101 import Food101Reader
from support.raw_corpora import fast_options, write_raw


def test_reads_all_of_it(tmp_path):
    dataset = Food101Reader(**fast_options("food101")).read(write_raw("food101", tmp_path))
    assert dataset.task.classes == ("apple_pie", "ramen", "waffles")
    assert dataset.target.tolist() == [0, 2, 1] * 4
    assert list(dataset.signals) == ["text", "image"]
    assert set(dataset.provenance["sha256"]) == {"train.jsonl", "dev.jsonl", "test.jsonl"}
