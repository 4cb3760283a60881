import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deconfound.errors import RunError
from deconfound.runs.checkpoint import read_checkpoint, write_checkpoint

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(tree=st.dictionaries(st.text(), trees, max_size=4))
def test_plain_trees_survive(tree, tmp_path_factory):
    path = write_checkpoint({"tree": tree}, tmp_path_factory.mktemp("c") / "x.safetensors")
    assert read_checkpoint(path) == {"tree": tree}


def test_tensors_survive_with_their_places(tmp_path):
    tree = {"state_dict": {"a/b": torch.rand(3, 2).T}, "optimizer": [{0: {"step": torch.tensor(3.0)}}, (1, 2)]}
    again = read_checkpoint(write_checkpoint(tree, tmp_path / "x.safetensors"))
    assert torch.equal(again["state_dict"]["a/b"], tree["state_dict"]["a/b"])
    assert torch.equal(again["optimizer"][0][0]["step"], torch.tensor(3.0))
    assert again["optimizer"][1] == (1, 2)


def test_equal_trees_make_equal_files(tmp_path):
    """safetensors orders metadata by chance, in each process and each call."""
    tree = {"state_dict": {'é " \u2028': torch.arange(3), "w": torch.eye(2)}, "epoch": 3}
    files = [write_checkpoint(tree, tmp_path / f"{n}.safetensors") for n in range(20)]
    assert len({file.read_bytes() for file in files}) == 1
    assert torch.equal(read_checkpoint(files[0])["state_dict"]['é " \u2028'], torch.arange(3))


def test_two_names_of_one_tensor_are_kept(tmp_path):
    tied = torch.rand(3)
    again = read_checkpoint(write_checkpoint({"a": tied, "b": tied}, tmp_path / "x.safetensors"))
    assert torch.equal(again["a"], again["b"])


@pytest.mark.parametrize("at", [0, 20, -1])
def test_a_changed_byte_is_found(tmp_path, at):
    path = write_checkpoint({"w": torch.rand(5)}, tmp_path / "x.safetensors")
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match="damaged"):
        read_checkpoint(path)


def test_a_pickle_is_refused_and_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    (tmp_path / "x.safetensors").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(RunError, match="damaged"):
        read_checkpoint(tmp_path / "x.safetensors")
    assert not (tmp_path / "ran").exists()


def test_what_is_not_plain_is_refused(tmp_path):
    with pytest.raises(RunError, match="cannot hold x of type object"):
        write_checkpoint({"x": object()}, tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_checkpoint_says_so(tmp_path):
    with pytest.raises(RunError, match="there is no checkpoint"):
        read_checkpoint(tmp_path / "x.safetensors")
