"""rdae.networks.graphs: each graph is given the tensors that it asks for, and those that lie beside weights are the
ones that today's code makes of them.
"""

import json
from pathlib import Path

import onnx
import pytest
from tiny_model import GOLDEN, SMALL, write

from rdae.networks import graphs, registry, weights
from rdae.training.export import graphs as graph_maker

ROOT = Path(__file__).resolve().parents[2]
KEPT = sorted([*GOLDEN.rglob("*.safetensors"), *(ROOT / "weights").glob("*.safetensors")])


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_graphs_in_the_repository_are_those_that_this_code_makes(path: Path) -> None:
    """But for what they say of who made them, and in what order onnx writes it down."""
    stated = registry.manifest_of(path)["graphs"]
    made = graph_maker.of_weights(path.read_bytes())
    assert isinstance(stated, dict)
    assert set(stated) == set(made)
    assert {each.name for each in path.parent.glob(f"{path.stem}.*.onnx")} == {
        graphs.path_of(path, name).name for name in made
    }
    for name, data in made.items():
        expected = onnx.load_from_string(data)
        found = onnx.load_from_string(graphs.read(path, name, stated[name]))
        expected.producer_version = found.producer_version = ""
        assert found == expected, f"{path.stem}.{name}: make it anew with rdae export {path}"


def test_each_graph_is_given_the_tensors_that_it_asks_for_and_no_others(tmp_path: Path) -> None:
    path = write(tmp_path / "small.safetensors", SMALL)
    tensors = weights.Tensors(path)
    patterns = graphs.names(SMALL)
    made = graph_maker.of_weights(path.read_bytes())
    assert made.keys() <= patterns.keys()
    asked = set()
    for name, data in made.items():
        external = {each.name for each in onnx.load_from_string(data).graph.initializer if each.external_data}
        assert external == set(graphs.needed(patterns[name], tensors)), name
        asked |= external
    # What is left is read without a graph.
    assert {name.split(".")[0] for name in set(tensors) - asked} == {"gains", "prior", "tables"}
    assert {name for name in set(tensors) - asked if name.startswith("prior.")} == {
        "prior.to_context",
        "prior.from_mean",
        "prior.index_offset",
    }


def test_graphs_hold_structure_and_no_weights() -> None:
    for path in KEPT:
        tensors = weights.Tensors(path)
        for name in json.loads(path.with_suffix(".json").read_text())["graphs"]:
            graph = onnx.load_from_string(graphs.path_of(path, name).read_bytes())
            for each in graph.graph.initializer:
                if each.data_location == onnx.TensorProto.EXTERNAL:
                    assert tuple(each.dims) == graphs.given_shape(each.name, tensors[each.name].shape)
                else:
                    assert each.ByteSize() < 200, each.name


def test_the_same_weights_give_the_same_graphs(tmp_path: Path) -> None:
    path = write(tmp_path / "small.safetensors", SMALL)
    data = path.read_bytes()
    assert graph_maker.of_weights(data) == graph_maker.of_weights(data)
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    assert graph_maker.add(path) == len(before) - 2
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before
