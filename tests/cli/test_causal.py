"""`deconfound causal`: what is printed, drawn and refused."""

import json
import subprocess
import sys
from xml.etree import ElementTree

import pytest
import torch

from deconfound.causal import EXAMPLES, DiscreteSCM, Graph, check_beta_front_door, draw
from deconfound.causal.draw import layout
from deconfound.cli import app as cli
from deconfound.io.toml_writer import toml_text


@pytest.fixture
def graph(tmp_path):
    known = EXAMPLES["g3"].graph
    path = tmp_path / "g3.toml"
    roles = {"treatment": "x", "mediator": "z", "outcome": "y", "auxiliary": ["a"]}
    edges = [f"{a} -> {b}" for a, b in known.edges]
    path.write_text(toml_text({"observed": list("xzya"), "latent": ["u"], "edges": edges, "roles": roles}))
    return path


@pytest.fixture
def table(tmp_path):
    generator = torch.Generator().manual_seed(0)
    rows = DiscreteSCM.random(EXAMPLES["g3"].graph, generator, {"z": 3}).sample(2000, generator)
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["x,z,y,a", *(",".join(map(str, row)) for row in rows)]))
    return path


def call(capsys, *words):
    with pytest.raises(SystemExit) as end:
        cli.main(["causal", *map(str, words)])
    shown = capsys.readouterr()
    return end.value.code, shown.out, shown.err


def test_check_prints_the_verdict_and_the_path(capsys, graph, tmp_path):
    code, out, _ = call(capsys, "check", graph, "--svg", tmp_path / "g3.svg")
    assert code == 0
    for part in (
        "front-door criterion: FAILS",
        "F3 FAILS  x blocks every back-door path from z to y: z <- a -> y",
        "β-front-door criterion: holds",
        "β-paths, which a blocks: z <- a -> y; z <- a <- u -> y",
        "advice: Use equation (2)",
        "its effect is then not identified",
    ):
        assert part in out
    assert "breaks" not in (tmp_path / "g3.svg").read_text(encoding="utf-8")


def test_check_as_json(capsys, graph):
    code, out, _ = call(capsys, "check", graph, "--json")
    output = json.loads(out)
    assert code == 0
    assert output["verdicts"]["beta_front_door"]["holds"] is True
    assert output["verdicts"]["front_door"]["conditions"][2]["path"] == "z <- a -> y"
    assert output["warranted"] == {
        "naive": False,
        "back-door": False,
        "front-door": False,
        "beta-front-door": True,
        "randomised-mediator": False,
        "joint-mediators": False,
    }


def test_estimate_prints_every_formula(capsys, graph, table):
    code, out, _ = call(capsys, "estimate", graph, table, "--resamples", 50)
    assert code == 0
    for part in (
        "naive: P(y|x)",
        "front-door: Σ_z",
        "beta-front-door: (2)",
        "beta-front-door-given: (1)",
        "x=1 less 0, a=1",
    ):
        assert part in out
    code, again, _ = call(capsys, "estimate", graph, table, "--resamples", 50, "--json")
    assert code == 0
    output = json.loads(again)
    assert output["rows"] == 2000
    assert output["effects"]["beta-front-door"]["probabilities"]["low"][0][0] > 0


def test_positivity_is_warned_of_in_what_is_printed(capsys, graph, table):
    lines = table.read_text().splitlines()
    computed = [f"{x},{int(x) + int(a)},{y},{a}" for x, _, y, a in (line.split(",") for line in lines[1:])]
    table.write_text("\n".join([lines[0], *computed]))
    code, out, err = call(capsys, "estimate", graph, table, "--resamples", 20)
    assert (code, err) == (0, "")
    assert "positivity warning: z is a function of x and a in these rows" in out
    assert "positivity warning: beta-front-door: up to" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check", "none.toml"], "cannot read the graph none.toml"),
        (
            ["estimate", "GRAPH", "none.csv"],
            "cannot read the manifest none.csv: No such file or directory; check its name, or",
        ),
        (["estimate", "GRAPH", "TABLE", "--clusters", "speaker"], "has no column 'speaker'"),
        (["estimate", "GRAPH", "TABLE", "--resamples", "1"], "--resamples"),
        (["check"], "Missing argument"),
    ],
)
def test_a_mistake_ends_with_2_and_one_line(capsys, graph, table, words, message):
    places = {"GRAPH": graph, "TABLE": table}
    code, out, err = call(capsys, *(places.get(word, word) for word in words))
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_help_and_check_load_no_torch(graph):
    script = (
        "import sys\nfrom deconfound.cli import app as cli\n"
        "for words in (['causal', '--help'], ['causal', 'check', '--help'], ['causal', 'estimate', '--help'], "
        f"['causal', 'check', {str(graph)!r}]):\n"
        "    assert cli._run(words, False) == 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert 'mediator = "transcript"' in shown.stdout


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_drawing_shows_every_node_and_edge(name):
    graph = EXAMPLES[name].graph
    verdict = check_beta_front_door(graph)
    root = ElementTree.fromstring(draw(graph, verdict))
    space = "{http://www.w3.org/2000/svg}"
    labels = [text.text for text in root.iter(f"{space}text")]
    assert set(graph.nodes) <= set(labels)
    assert sum("marker-end" in path.attrib for path in root.iter(f"{space}path")) == len(graph.edges)
    assert ("β-path" in labels) == bool(verdict.beta_paths)
    assert ("α-path" in labels) == bool(verdict.alpha_paths)
    broken = [condition.name for condition in verdict.conditions if not condition.holds]
    assert not broken or f"breaks {', '.join(broken)}" in labels
    places = layout(graph)
    assert len(set(places.values())) == len(graph.nodes)
    assert places["x"][0] < places["z"][0] < places["y"][0]


def test_names_are_escaped():
    graph = Graph.of("<x> & co -> z -> y", treatment="<x> & co", name='"g" <b>\x1b[1m\x00\n')
    root = ElementTree.fromstring(draw(graph, check_beta_front_door(graph)))
    assert root.find("{http://www.w3.org/2000/svg}title").text == '"g" <b>'
    assert any(text.text == "<x> & co" for text in root.iter("{http://www.w3.org/2000/svg}text"))
