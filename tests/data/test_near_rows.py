"""Near duplicates against a search of all pairs, on planted ones and on rows that are alike by chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import deconfound as dc
from deconfound.data.findings import find_all, near_texts, near_vectors
from deconfound.data.findings.candidate_pairs import REACH, candidate_pairs
from deconfound.data.findings.text_sketch import minimal_hashes, pieces

WORDS = [
    f"{a}{b}"
    for a in ("stone", "river", "light", "paper", "green", "cloud")
    for b in ("man", "way", "let", "ing", "er")
]


def sentences(count: int, seed: int = 0) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, 14)) for _ in range(count)]


def slow_texts(texts: list[str]) -> set[tuple[int, int]]:
    sets = [pieces(near_texts.normalised(text)) for text in texts]
    return {
        (a, b)
        for b in range(len(texts))
        for a in range(b)
        if sets[a] and sets[b] and len(sets[a] & sets[b]) >= near_texts.NEAR * len(sets[a] | sets[b])
    }


def slow_vectors(values: np.ndarray) -> set[tuple[int, int]]:
    size = np.linalg.norm(values, axis=1)
    distance = np.linalg.norm(values[:, None] - values[None], axis=2)
    near = distance <= near_vectors.NEAR * np.maximum(size[:, None], size[None])
    return {(a, b) for a, b in np.argwhere(near).tolist() if a < b}


def as_set(pairs: np.ndarray) -> set[tuple[int, int]]:
    return {(a, b) for a, b in pairs.tolist()}


def test_texts_that_differ_in_case_links_names_and_marks_are_alike():
    texts = sentences(200)
    texts[150] = f"RT @someone: {texts[3].upper()}!!! https://t.co/xyz"
    texts[160] = texts[4].replace(" ", ", ")
    texts[170] = " ".join([*texts[5].split()[:-1], "changed"])
    assert {(3, 150), (4, 160), (5, 170)} <= as_set(near_texts.near_texts(texts)) == slow_texts(texts)


def test_short_texts_are_alike_by_chance():
    assert len(near_texts.near_texts(["thank you", "Thank you!"] * 20)) == 0


def test_texts_without_blanks_between_words():
    texts = [
        "今天的天气非常好我们去公园散步吧朋友",
        "我不喜欢这部电影因为故事太无聊了真的",
        "今天的天气非常好我们去公园散步吧朋友！",
    ]
    assert as_set(near_texts.near_texts(texts)) == {(0, 2)}


def test_minimal_hashes_agree_as_often_as_the_pieces_overlap():
    first = " ".join(sentences(1)[0].split()).encode()
    second = first[: len(first) * 3 // 4] + b" something of another kind"
    hashes = minimal_hashes([first, second], 4000)
    expected = near_texts.overlap(pieces(first), pieces(second))
    assert float((hashes[0] == hashes[1]).mean()) == pytest.approx(expected, abs=0.03)


def test_hashes_do_not_depend_on_the_other_texts():
    texts = [text.encode() for text in sentences(50)]
    assert np.array_equal(minimal_hashes(texts, 8)[7:8], minimal_hashes(texts[7:8], 8))


@pytest.mark.parametrize("noise", [0.0, 1e-3, 0.03])
def test_vectors_that_nearly_agree_are_found(noise):
    draw = np.random.default_rng(0)
    values = draw.normal(size=(600, 40)).astype(np.float32)
    values[500:530] = values[:30] * (1 + noise * draw.normal(size=(30, 40)))
    found = as_set(near_vectors.near_pairs(values))
    assert found == slow_vectors(values)
    assert len(found) == 30


def test_vectors_of_few_directions_are_alike_by_chance():
    draw = np.random.default_rng(0)
    values = (draw.normal(size=(2000, 2)) @ draw.normal(size=(2, 40))).astype(np.float32)
    assert slow_vectors(values[:500])
    assert len(near_vectors.near_pairs(values)) == 0


def test_independent_vectors_are_not_alike():
    values = np.random.default_rng(0).normal(size=(5000, 16)).astype(np.float32)
    assert len(near_vectors.near_pairs(values)) == 0


def test_directions_are_counted_as_variances_say():
    draw = np.random.default_rng(0)
    values = np.zeros((4000, 10), dtype=np.float32)
    values[:, :5] = draw.normal(size=(4000, 5))
    assert near_vectors.directions(values) == pytest.approx(5, rel=0.02)
    assert near_vectors.directions(np.zeros((3, 0), dtype=np.float32)) == 0


def test_pairs_are_bounded_by_the_rows():
    pairs = candidate_pairs(np.zeros((1000, 2), dtype=np.int64), np.arange(2000.0).reshape(1000, 2))
    assert len(pairs) <= 2 * REACH * 1000
    assert (pairs[:, 0] < pairs[:, 1]).all()


def posts(**changes: object) -> dc.Dataset:
    """300 posts, of which three tests repeat train with another link; the images of two more do."""
    draw = np.random.default_rng(0)
    texts = sentences(300)
    images = draw.normal(size=(300, 30)).astype(np.float32)
    for row in range(3):
        texts[240 + row] = f"{texts[row]} https://t.co/{row}"
    images[250:252] = images[10:12] * 1.001
    frame = {"label": [str(row % 2) for row in range(300)], "id": [f"r{row}" for row in range(300)], "said": texts}
    split = ["train"] * 180 + ["valid"] * 60 + ["test"] * 60
    return dc.dataset(frame, **{"target": "label", "image": images, "split": split, "quiet": True, **changes})


def test_rows_that_are_alike_in_two_splits_are_named_with_numbers_and_remedy():
    said, seen = find_all(posts())
    assert said.startswith("the text 'said': 3 of 60 rows of test nearly equal rows of train ('r240', 'r241', 'r242')")
    assert seen.startswith("image: 2 of 60 rows of test nearly equal rows of train ('r250', 'r251')")
    assert all("keep what is alike in one split" in line for line in (said, seen))


def test_rows_that_are_alike_in_train_are_named():
    (said, *_) = find_all(posts(split=["train"] * 260 + ["valid"] * 20 + ["test"] * 20))
    assert "3 of 260 rows of train nearly equal earlier ones ('r240', 'r241', 'r242')" in said


def test_texts_that_the_dataset_does_not_keep_are_known_by_the_note_of_their_import():
    sets = near_texts.similar_sets(sentences(20) + sentences(3), [f"r{row}" for row in range(23)])
    assert sets == [["r0", "r20"], ["r1", "r21"], ["r2", "r22"]]
    data = posts(metadata=[])
    notes = {"text": {near_texts.SIMILAR: [["r0", "r250"], ["r1", "gone"]]}}
    noted = replace(data, provenance={"masks": notes})
    assert near_texts.find(noted)[0].startswith(
        "the text 'text': 1 of 60 rows of test nearly equal rows of train ('r250')"
    )


def test_rows_that_are_equal_in_everything_are_left_to_the_finding_of_equal_rows():
    values = torch.randn(60, 1, 30, generator=torch.Generator().manual_seed(0)).numpy()
    values[55] = values[3]
    data = dc.dataset(target=["a", "b"] * 30, x=values[:, 0], split=["train"] * 40 + ["valid"] * 10 + ["test"] * 10)
    lines = find_all(data)
    assert sum("nearly equal" in line for line in lines) == 0
    assert sum("equal rows of train in all modalities" in line for line in lines) == 1


def test_alike_texts_of_a_frame_and_of_a_table_are_named_though_their_texts_are_not_kept(tmp_path):
    said = sentences(12)
    said[11] = said[0].upper()
    split = ["train"] * 8 + ["valid"] * 2 + ["test"] * 2
    frame = {"label": ["a", "b"] * 6, "said": said, "id": [f"r{row}" for row in range(12)], "split": split}
    extractors = {"said": "word-pieces"}
    data = dc.dataset(frame, target="label", said="said", extractors=extractors, quiet=True)
    assert "said" not in data.columns
    pd.DataFrame(frame).to_csv(tmp_path / "rows.csv", index=False)
    target = '[target]\ncolumn = "label"\nkind = "classification"\n[split]\ncolumn = "split"\n'
    modality = '[modalities.said]\ncolumn = "said"\nkind = "text"\nextractor = "word-pieces"\n'
    (tmp_path / "corpus.toml").write_text(f'manifest = "rows.csv"\n{target}{modality}')
    for read in (data, dc.read_table(tmp_path / "corpus.toml")):
        (line,) = near_texts.find(read)
        assert line.startswith("the text 'said': 1 of 2 rows of test nearly equal rows of train ('r11')")
