"""The corpora of the benchmarks: what the builders make of them, and that linear models find what is known of them."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from deconfound.data.dataset import Dataset
from deconfound.data.store import open_store
from deconfound.errors import DataError
from deconfound.testing import check_dataset

ROOT = Path(__file__).parents[2]
CORPORA = ROOT / ".." / "shared" / "data"
sys.path.insert(0, str(ROOT / "benchmarks" / "data"))
from av_digits import av_digits, fewer_components, pair  # noqa: E402
from build import SPEAKERS, builders  # noqa: E402
from crema_d_votes import crema_d_votes  # noqa: E402
from mosi import mosi  # noqa: E402
from sources import read_arrays  # noqa: E402


def corpus(name: str) -> Path:
    path = CORPORA / name
    if not path.exists():
        if os.environ.get("CI"):
            pytest.fail(f"the corpus is not at {path}; in CI it must be")
        pytest.skip(f"the corpus {name} is not beside this checkout (../shared/data)")
    return path


def flat(dataset: Dataset, *modalities: str) -> np.ndarray:
    """(N, D) mean over the existing steps of each modality, side by side."""
    parts = []
    for name in modalities:
        signal = dataset.signals[name]
        steps = signal.values.flatten(2) if dataset.modalities[name].kind != "sequence" else signal.values
        parts.append((steps.sum(1) / signal.mask.sum(1, keepdim=True).clamp(min=1)).numpy())
    return np.concatenate(parts, axis=1)


def whole(dataset: Dataset, *modalities: str) -> np.ndarray:
    """(N, T·D) all steps of each modality, side by side."""
    return np.concatenate([dataset.signals[name].values.flatten(1).numpy() for name in modalities], axis=1)


def accuracy(dataset: Dataset, features: np.ndarray, train: str, test: str, *, scaled: bool) -> float:
    model = LogisticRegression(max_iter=300)
    model = make_pipeline(StandardScaler(), model) if scaled else model
    fitted, judged, y = dataset.rows(train), dataset.rows(test), dataset.target.numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features[fitted.start : fitted.stop], y[fitted.start : fitted.stop])
    return float(model.score(features[judged.start : judged.stop], y[judged.start : judged.stop]))


def values_of(dataset: Dataset, column: str) -> dict[str, set[object]]:
    values = dataset.columns[column].values
    return {name: set(values[rows.start : rows.stop].tolist()) for name, rows in dataset.splits.items()}


def test_crema_d_has_other_actors_in_every_split():
    data = crema_d_votes(corpus("crema-d-votes"))
    check_dataset(data)
    actors = values_of(data, "actor")
    assert len(data) == 7442
    assert sum(map(len, actors.values())) == len(set.union(*actors.values())) == 91
    assert {name: round(len(rows) / len(data), 1) for name, rows in data.splits.items()} == {
        "train": 0.6,
        "valid": 0.2,
        "test-iid": 0.2,
    }
    assert [str(m) for m in data.modalities.values()] == ["voice vector 1×12", "face vector 1×12"]
    assert (data.group, data.environment) == (("actor",), ("actor",))
    assert data.provenance["licence"] == "ODbL 1.0"
    assert data.checksum == crema_d_votes(corpus("crema-d-votes")).checksum
    assert values_of(crema_d_votes(corpus("crema-d-votes"), seed=1), "actor")["valid"] != actors["valid"]


def test_crema_d_rows_are_those_of_the_file():
    data = crema_d_votes(corpus("crema-d-votes"))
    with np.load(corpus("crema-d-votes") / "cremad_votes.npz", allow_pickle=False) as file:
        place = {clip: row for row, clip in enumerate(file["clip"].tolist())}
        rows = [place[name] for name in data.columns["id"].values]
        assert np.array_equal(data.signals["voice"].values[:, 0].numpy(), file["voice"][rows])
        assert np.array_equal(data.signals["face"].values[:, 0].numpy(), file["face"][rows])
    codes = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness"}
    named = [data.task.classes[label] for label in data.target.tolist()]
    assert named == [codes[clip.split("_")[2]] for clip in data.columns["id"].values]


@pytest.mark.parametrize(("modalities", "known"), [(("voice",), 0.578), (("face",), 0.724), (("voice", "face"), 0.782)])
def test_crema_d_accuracies_are_the_known_ones(modalities, known):
    """Known from five folds of actors; here means over five draws of a fifth of the actors."""
    found = []
    for seed in range(5):
        data = crema_d_votes(corpus("crema-d-votes"), seed=seed)
        found.append(accuracy(data, flat(data, *modalities), "train", "test-iid", scaled=True))
    assert np.mean(found) == pytest.approx(known, abs=0.02)


def test_crema_d_levels_shift_the_level_alone_and_are_as_hard_as_known():
    found = []
    for seed in range(5):
        data = crema_d_votes(corpus("crema-d-votes"), variant="levels", seed=seed)
        assert values_of(data, "level") == {"train": {"XX"}, "valid": {"XX"}, "test-iid": {"XX"}, "test-ood": {"LO"}}
        found.append(
            [accuracy(data, flat(data, *names), "train", "test-ood", scaled=True) for names in (["voice"], ["face"])]
            + [
                accuracy(data, flat(data, "voice", "face"), "train", split, scaled=True)
                for split in ("test-ood", "test-iid")
            ]
        )
    check_dataset(data)
    voice, face, both, easy = np.mean(found, axis=0)
    assert [voice, face, both] == pytest.approx([0.413, 0.543, 0.618], abs=0.04)
    assert easy > both + 0.1


def test_av_digits_random_keeps_the_official_test_part_and_uses_no_image_twice():
    data = av_digits(corpus("av-digits"), remove=0.0)
    check_dataset(data)
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 2400, "valid": 300, "test-iid": 300}
    assert values_of(data, "index") == {
        "train": set(range(10, 50)),
        "valid": set(range(5, 10)),
        "test-iid": set(range(5)),
    }
    images = data.columns["image"].values
    assert len(set(images.tolist())) == 3000
    with np.load(corpus("av-digits") / "mnist20k.npz", allow_pickle=False) as file:
        assert np.array_equal(file["y"][images], data.target.numpy())
        expected = file["X"][images].reshape(-1, 1, 28, 28) / np.float32(255)
        assert np.array_equal(data.signals["image"].values.numpy(), expected)
    with np.load(corpus("av-digits") / "fsdd_logmel.npz", allow_pickle=False) as file:
        names = [f"{y}_{s}_{i}" for y, s, i in zip(file["y"], file["speaker"], file["index"], strict=True)]
        place = {name: row for row, name in enumerate(names)}
        recordings = file["X"][[place[name] for name in data.columns["id"].values]].astype(np.float32)
        assert np.array_equal(data.signals["audio"].values.numpy(), recordings.transpose(0, 2, 1))
        as_image = av_digits(corpus("av-digits"), remove=0.0, audio="image")
        assert np.array_equal(as_image.signals["audio"].values[:, 0].numpy(), recordings)
    assert as_image.modalities["audio"].kind == "image"
    assert (as_image.columns["image"].values == images).all()
    other = av_digits(corpus("av-digits"), remove=0.0, seed=1)
    assert not (other.columns["image"].values == images).all()


def test_av_digits_speakers_stay_apart():
    data = av_digits(corpus("av-digits"), variant="speaker", speaker="theo", remove=0.0)
    check_dataset(data)
    speakers = values_of(data, "speaker")
    assert speakers["test-ood"] == {"theo"}
    assert speakers["valid"] == {"yweweler"}
    assert speakers["train"] == set(SPEAKERS) - {"theo", "yweweler"}
    assert data.group == ("speaker",)
    last = av_digits(corpus("av-digits"), variant="speaker", speaker="yweweler", remove=0.0)
    assert values_of(last, "speaker")["valid"] == {"george"}


def test_av_digits_shift_has_a_test_part_on_either_side():
    data = av_digits(corpus("av-digits"), variant="shift", speaker="lucas")
    check_dataset(data)
    others = set(SPEAKERS) - {"lucas"}
    assert values_of(data, "speaker") == {"train": others, "valid": others, "test-iid": others, "test-ood": {"lucas"}}
    assert {name: len(rows) for name, rows in data.splits.items()} == {
        "train": 2000,
        "valid": 250,
        "test-iid": 250,
        "test-ood": 500,
    }


def test_av_digits_of_a_new_speaker_are_as_hard_as_known():
    """Known: audio .746 (worst speaker .48), the poorer image .654, both .815 (worst .58).

    How those were fitted is not recorded (regularisation, number of components), which moves them by some hundredths; what
    must hold is their order: sound is better but breaks for one speaker, and both together repair that.
    """
    found = []
    for speaker in SPEAKERS:
        data = av_digits(corpus("av-digits"), variant="shift", speaker=speaker)
        labels = np.where(data.env.numpy() == data.env[data.rows("test-ood").start].item(), "test", "train")
        data = data.resplit(labels)
        image = PCA(4).fit(flat(data, "image")[: data.rows("train").stop])
        found.append(
            [
                accuracy(data, whole(data, "audio"), "train", "test", scaled=False),
                accuracy(data, image.transform(flat(data, "image")), "train", "test", scaled=True),
                accuracy(data, whole(data, "audio", "image"), "train", "test", scaled=False),
            ]
        )
    audio, image, both = np.mean(found, axis=0)
    assert audio == pytest.approx(0.746, abs=0.03)
    assert image == pytest.approx(0.654, abs=0.07)
    assert both == pytest.approx(0.815, abs=0.07)
    worst_audio, worst_image, worst_both = np.min(found, axis=0)
    assert worst_audio == pytest.approx(0.48, abs=0.05)
    assert worst_audio < worst_image < image < audio < both
    assert worst_both > worst_audio + 0.09


def test_the_poorer_image_is_a_projection_fitted_on_training_rows():
    generator = np.random.default_rng(0)
    values = (generator.normal(size=(60, 12)) * np.linspace(4, 0.3, 12)).astype(np.float32)
    train = np.arange(60) < 40
    for remove in (0.75, 0.5, 0.05):
        kept, count = fewer_components(values, train, remove)
        reference = PCA(svd_solver="full").fit(values[train].astype(np.float64))
        shares = np.cumsum(reference.explained_variance_ratio_)
        assert count == next(k for k, share in enumerate(shares, start=1) if share >= 1 - remove)
        short = PCA(count, svd_solver="full").fit(values[train].astype(np.float64))
        expected = short.inverse_transform(short.transform(values.astype(np.float64)))
        np.testing.assert_allclose(kept, expected, atol=1e-5)
    changed = np.where(train[:, None], values, 100).astype(np.float32)
    assert np.array_equal(
        fewer_components(changed, train, 0.5)[0][train], fewer_components(values, train, 0.5)[0][train]
    )
    same, count = fewer_components(values, train, 0)
    assert np.array_equal(same, values)
    assert count == 12


def test_pairs_are_of_one_class_without_repeats():
    generator = np.random.default_rng(0)
    classes, pool = generator.integers(3, size=50), generator.integers(3, size=200)
    chosen = pair(classes, pool, 0)
    assert np.array_equal(pool[chosen], classes)
    assert len(set(chosen.tolist())) == 50
    assert np.array_equal(chosen, pair(classes, pool, 0))
    assert not np.array_equal(chosen, pair(classes, pool, 1))
    with pytest.raises(DataError, match="class 2 has 3 recordings but only 1 images"):
        pair(np.array([2, 2, 2]), np.array([0, 2]), 0)


def test_mosi_errors_of_ridge_are_the_known_ones():
    data = mosi(corpus("mosi") / "unaligned_30.pkl")
    check_dataset(data)
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 1444, "valid": 269, "test": 482}
    assert data.group == ("video",)
    y, train, test = data.target.numpy(), data.rows("train"), data.rows("test")
    known = {("text",): (1.183, 0.37), ("text", "audio"): (1.174, 0.38), ("vision",): (1.327, 0.15)}
    for modalities, (error, correlation) in (known | {("text", "audio", "vision"): (1.195, 0.36)}).items():
        x = StandardScaler().fit(flat(data, *modalities)[: train.stop]).transform(flat(data, *modalities))
        guess = Ridge(alpha=100.0).fit(x[: train.stop], y[: train.stop]).predict(x[test.start :])
        assert np.abs(guess - y[test.start :]).mean() == pytest.approx(error, abs=0.03)
        assert np.corrcoef(guess, y[test.start :])[0, 1] == pytest.approx(correlation, abs=0.05)
    assert np.abs(np.median(y[: train.stop]) - y[test.start :]).mean() == pytest.approx(1.367, abs=0.001)


def test_mosi_deals_its_held_out_videos_again():
    path = corpus("mosi") / "unaligned_30.pkl"
    first, again, other = mosi(path), mosi(path, seed=3), mosi(path, seed=4)
    check_dataset(again)
    videos = values_of(again, "video")
    assert videos["train"] == values_of(first, "video")["train"]
    assert videos["valid"] | videos["test"] == values_of(first, "video")["valid"] | values_of(first, "video")["test"]
    assert videos["valid"] != values_of(other, "video")["valid"]
    assert len(again.rows("valid")) == pytest.approx(269, abs=20)
    assert again.group == ("video",)
    assert (again.name, again.provenance["held_out_videos"]) == ("mosi-3", "dealt again with seed 3")


def test_wrong_requests_and_files_are_told_of_in_one_line(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*cremad_votes.npz: No such file"):
        crema_d_votes(tmp_path)
    with pytest.raises(DataError, match="'actors' or 'levels'; got 'actor'"):
        crema_d_votes(tmp_path, variant="actor")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="remove in"):
        av_digits(tmp_path, remove=1.0)
    np.savez(tmp_path / "a.npz", x=np.zeros(3), y=np.zeros(2), z=np.array([{}]))
    with pytest.raises(DataError, match="has no array 'w'"):
        read_arrays(tmp_path / "a.npz", ["w"])
    with pytest.raises(DataError, match="different numbers of rows"):
        read_arrays(tmp_path / "a.npz", ["x", "y"])
    with pytest.raises(DataError, match="damaged or holds pickled objects"):
        read_arrays(tmp_path / "a.npz", ["z"])
    with pytest.raises(DataError, match="no speaker 'georg'; did you mean 'george'"):
        av_digits(corpus("av-digits"), variant="shift", speaker="georg")


def test_the_script_writes_a_store(tmp_path):
    command = [sys.executable, ROOT / "benchmarks" / "data" / "crema_d_votes.py", corpus("crema-d-votes")]
    done = subprocess.run([*command, "--out", tmp_path / "store"], check=True, capture_output=True, text=True)
    assert "train 4503, valid 1464, test-iid 1475 rows" in done.stdout
    assert len(open_store(tmp_path / "store")) == 7442
    assert "crema-d-votes-levels" in builders(CORPORA)
