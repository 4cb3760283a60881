"""Graphs: what is read, what is refused and how it is said."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deconfound.causal import EXAMPLES, Graph, assess
from deconfound.causal.graph import MAX_NODES
from deconfound.errors import DeconfoundError, SpecError
from deconfound.io.toml_writer import toml_text

G3 = {
    "observed": ["x", "z", "y", "a"],
    "latent": ["u"],
    "edges": ["u -> x -> z -> y", "u -> y", "u -> a -> z", "a -> y"],
    "roles": {"treatment": "x", "mediator": "z", "outcome": "y", "auxiliary": ["a"]},
}


def written(folder: Path, **changed: object) -> Path:
    path = folder / "g3.toml"
    path.write_text(toml_text({**G3, **changed}), encoding="utf-8")
    return path


def test_a_file_is_read_as_written(tmp_path):
    graph = Graph.read(written(tmp_path))
    wanted = EXAMPLES["g3"].graph
    assert (graph.name, set(graph.edges), graph.latent) == ("g3", set(wanted.edges), ("u",))
    assert graph.auxiliary == ("a",)
    assert graph.digraph.number_of_edges() == 7
    assert graph.descendants("x") == {"z", "y"}
    assert set(graph.cut(into=["z"], out_of=["u"]).edges) == {("z", "y"), ("a", "y")}


def test_auxiliary_and_latent_nodes_are_optional(tmp_path):
    path = tmp_path / "plain.toml"
    path.write_text(
        'observed = ["x", "z", "y"]\nedges = ["x -> z -> y"]\n'
        '[roles]\ntreatment = "x"\nmediator = "z"\noutcome = "y"\n',
        encoding="utf-8",
    )
    graph = Graph.read(path)
    assert (graph.auxiliary, graph.latent, graph.name) == ((), (), "plain")


ROLES = G3["roles"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"edges": ["x -> z -> x"]}, r"the edges form a cycle, \w -> \w -> \w; remove one"),
        ({"edges": ["x -> x"]}, "the edge 'x -> x' is a loop"),
        ({"edges": ["x -> z", "x -> z -> y"]}, "the edge 'x -> z' is given twice"),
        ({"edges": ["x -> zz"]}, "names the node 'zz', which is neither observed nor latent; did you mean 'z'"),
        ({"edges": ["x"]}, "'x' is not an edge; write 'cause -> effect'"),
        ({"edges": ["x -> -> z"]}, "'x -> -> z' is not an edge"),
        ({"edges": ["x <- u"]}, "'x <- u' is not an edge"),
        ({"observed": ["x", "z", "y", "a", "x"]}, "the node 'x' is given twice"),
        ({"observed": ["x", "z", "y", "a", "u"]}, "the node 'u' is given twice; keep one, observed or latent"),
        ({"observed": ["x", "z", "y", "a", "w\n"]}, "is not a node name"),
        ({"observed": ["x", "z", "y", "a", "w" * 1000]}, "is not a node name"),
        ({"observed": [f"n{i}" for i in range(1000)]}, f"has 1001 nodes; at most {MAX_NODES}"),
        ({"roles": {**ROLES, "treatment": "u"}}, "the treatment 'u' is latent; a role needs an observed node"),
        ({"roles": {**ROLES, "outcome": "q"}}, "the outcome 'q' is not an observed node; known: "),
        ({"roles": {**ROLES, "auxiliary": ["z"]}}, "the node 'z' is mediator and auxiliary; each role needs"),
        ({"roles": {"treatment": "x", "mediator": "z"}}, "the argument 'roles.outcome' is missing"),
        ({"roles": {**ROLES, "colour": "red"}}, "there is no argument 'roles.colour'"),
        ({"roles": "x"}, "roles = 'x'"),
        (
            {"roles": {**ROLES, "mediator": ["z", "a"]}},
            r"roles.mediator = \['z', 'a'\]: expected the name of one node: auxiliary = \[...\] takes the other mediators",
        ),
        (
            {"roles": {**ROLES, "outcome": ["y", "a"]}},
            "roles.outcome = .*: expected the name of one node: check one graph",
        ),
        ({"observed": "x"}, "observed = 'x'"),
        ({"edges": [["x", "z"]]}, r"edges.0 = "),
        ({"nodes": ["x"]}, "there is no argument 'nodes'"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_the_file(tmp_path, changed, message):
    path = written(tmp_path, **changed)
    with pytest.raises(SpecError, match=message) as told:
        Graph.read(path)
    assert "\n" not in str(told.value)
    assert str(path) in str(told.value)
    assert len(str(told.value)) < 600 + len(str(path))


def test_a_file_that_is_missing_or_not_toml(tmp_path):
    with pytest.raises(SpecError, match="cannot read the graph"):
        Graph.read(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("edges = [")
    with pytest.raises(SpecError, match="is not TOML"):
        Graph.read(tmp_path / "bad.toml")
    (tmp_path / "empty.toml").write_text("")
    with pytest.raises(SpecError, match="'observed' is missing"):
        Graph.read(tmp_path / "empty.toml")


NAMES = st.sampled_from(["x", "z", "y", "a", "u", "v", "", "x -> z", "\x00", "ü"])
LISTS = st.lists(NAMES | st.builds("{} -> {}".format, NAMES, NAMES), max_size=5)


@settings(max_examples=100, deadline=None)
@given(observed=LISTS, latent=LISTS, edges=LISTS, roles=st.dictionaries(NAMES, NAMES | LISTS, max_size=4) | LISTS)
def test_any_content_is_a_graph_or_one_line(tmp_path_factory, observed, latent, edges, roles):
    path = tmp_path_factory.mktemp("any") / "g.toml"
    full = {**ROLES, **roles} if isinstance(roles, dict) else roles
    path.write_text(toml_text({"observed": observed, "latent": latent, "edges": edges, "roles": full}))
    told = ""
    try:
        graph = Graph.read(path)
    except DeconfoundError as error:
        told = str(error)
    assert (told and "\n" not in told) or {graph.treatment, graph.mediator, graph.outcome} <= set(graph.observed)


def test_several_mediators_say_where_they_go():
    with pytest.raises(
        SpecError, match=r"the mediator is \('z', 'w'\); expected .* auxiliary = \[...\] takes the other"
    ):
        Graph.of("x -> z -> y", "x -> w -> y", mediator=("z", "w"))
    graph = Graph.of("x -> z -> y", "x -> w -> y", mediator="z", auxiliary=["w"])
    assert assess(graph).joint_mediators.holds
