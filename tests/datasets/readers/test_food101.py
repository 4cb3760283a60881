"""Food-101: recipes with an image."""

import pytest

from deconfound.datasets.readers.food101 import Food101Reader
from deconfound.datasets.recognise import read_corpus
from deconfound.errors import DataError
from support.raw_corpora import fast_options, write_posts, write_raw


def test_reads_all_of_it(tmp_path):
    dataset = Food101Reader(**fast_options("food101")).read(write_raw("food101", tmp_path))
    assert dataset.task.classes == ("apple_pie", "ramen", "waffles")
    assert dataset.target.tolist() == [0, 2, 1] * 4
    assert list(dataset.signals) == ["text", "image"]
    assert set(dataset.provenance["sha256"]) == {"train.jsonl", "dev.jsonl", "test.jsonl"}


def test_the_folder_of_the_other_posts_is_refused_by_its_labels(tmp_path):
    sentiments = write_posts(tmp_path / "mvsa", ("positive", "negative"))
    with pytest.raises(DataError, match=r"such as 'positive', are sentiments.*expected dishes.*use --format mvsa"):
        read_corpus(sentiments, "food101", fast_options("food101"))
    dishes = write_posts(tmp_path / "food", ("apple_pie", "ramen"))
    with pytest.raises(DataError, match=r"a label 'apple_pie'.*use --format food101"):
        read_corpus(dishes, "mvsa", fast_options("mvsa"))
