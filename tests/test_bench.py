"""What the benchmark measures: its lists of layers, its networks, and the means of its ratios."""

from __future__ import annotations

import collections

import numpy as np
import pytest

from konv.bench import summary
from konv.bench.layer import LISTS, SHAPES, Layer, find_layers, read_layers
from konv.bench.libraries import channels_first, konv_network
from konv.bench.network import NETWORKS, Network, Operation
from konv.bench.prepared import MOST_COPIES, Prepared, prepare_layer

HEADER = "name,op,N,H,W,C,K,R,S,stride,padding\n"
GIGA = 1e9


def members(name: str) -> list[Layer]:
    (found,) = find_layers([name]).values()
    return found


@pytest.mark.parametrize(
    ("name", "gflops"),
    [("vgg16", 30.94), ("resnet50", 8.18), ("mobilenet_v1", 1.14), ("alexnet", 1.43), ("lenet5", 0.00083)],
)
def test_layers_add_up_to_their_network(name, gflops):
    flops = sum(layer.count * layer.flops / layer.N for layer in members(name))
    assert flops / GIGA == pytest.approx(gflops, rel=0.01)


@pytest.mark.parametrize("name", NETWORKS)
def test_lists_have_the_layers_of_the_networks_that_run(name):
    network = NETWORKS[name]()
    built: collections.Counter[tuple[object, ...]] = collections.Counter()
    for operation in network.operations:
        if operation.kind in ("conv", "depthwise", "dense", "max_pool"):
            before = network.operations[operation.inputs[0]].shape
            window = (operation.size, operation.stride, operation.padding)
            built[(operation.kind, before, operation.shape, *window)] += 1
    listed: collections.Counter[tuple[object, ...]] = collections.Counter()
    for layer in members(name):
        if layer.op != "avg_pool":
            flat = layer.op == "dense"
            before = (layer.C,) if flat else (layer.H, layer.W, layer.C)
            after = (layer.K,) if flat else (*layer.output_size, layer.K)
            listed[layer.kind, before, after, layer.R, layer.stride, layer.padding] += layer.count
    assert listed == built


def test_one_name_is_one_shape():
    shapes: dict[str, Layer] = {}
    for name in LISTS:
        for layer in members(name):
            known = shapes.setdefault(layer.name, layer)
            sizes = [(one.x_shape, one.kernel_shape, one.stride, one.padding) for one in (layer, known)]
            assert layer.count > known.count or known.count > layer.count or sizes[0] == sizes[1]


def test_every_list_is_found_and_read():
    assert {path.stem for path in SHAPES.glob("*.csv")} == set(LISTS)
    assert len(members("classic")) == 22
    assert all(layer.C > 0 for name in LISTS for layer in members(name))


def test_a_layer_is_found_by_its_name():
    ((group, (layer,)),) = find_layers(["vgg_3_2"]).items()
    assert (group, layer.x_shape, layer.kernel_shape) == ("classic", (4, 56, 56, 256), (3, 3, 256, 256))


def test_layers_of_a_file(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(
        "name,op,N,H,W,C,K,R,S,stride,padding,groups\na,conv,1,5,6,4,8,3,3,2,1,4\nb,relu,1,2,2,3\n"
    )
    ((group, (conv, relu)),) = find_layers([str(path)]).items()
    assert (group, conv.y_shape, conv.kernel_shape) == ("mine", (1, 3, 3, 8), (3, 3, 1, 8))
    assert conv.flops == 2 * 3 * 3 * 8 * 9
    assert (relu.K, relu.flops, relu.bytes_of("forward")) == (3, 0, 2 * 4 * 12)


def test_bytes_that_passes_read_and_write():
    conv = Layer("conv", "conv", 1, 4, 4, 2, K=3)
    assert [conv.traffic_of(which) for which in conv.passes] == [
        (4 * (32 + 6), 4 * 48),
        (4 * (48 + 6), 4 * 32),
        (4 * (32 + 48), 4 * 6),
    ]
    pools = [Layer("pool", op, 1, 4, 4, 2, R=2, S=2, stride=2) for op in ("max_pool", "avg_pool")]
    assert [pool.traffic_of("forward") for pool in pools] == [(128, 32 + 8), (128, 32)]
    assert [pool.traffic_of("grad_x") for pool in pools] == [(32 + 8, 128), (32, 128)]
    relu, norm = (Layer(op, op, 1, 4, 4, 2) for op in ("relu", "batch_norm"))
    assert [relu.traffic_of(which) for which in relu.passes] == [(128, 128), (256, 128)]
    assert [norm.traffic_of(which) for which in norm.passes] == [(256, 128), (512, 128), (768, 256)]
    assert norm.bytes_of("both") == 1024


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", "must list layers, one a line, received none"),
        ("a,conv,1,5,5,4,8,3,3,1,x", "line 2: invalid literal"),
        ("a,sort,1,5,5,4", "line 2: a: op must be one of conv, dense, .*, received 'sort'"),
        ("a,conv,1,0,5,4", "line 2: a: H must be at least 1, received 0"),
        ("a,conv,1,5,5,4,8,3,3,1,-1", "line 2: a: padding must be at least 0, received -1"),
        ("a,conv,1,5,5,4,8,7,7,1,0", "line 2: a: the window of 7x7 must fit into the padded image"),
        ("a,conv,1,5,5,4,8,3,3,1,1,2", "line 2: columns must be among name, op, N"),
        ("a,conv", "line 2: name, op, N, H, W, C must be given, missing N, H, W, C"),
        ("a,max_pool,1,8,8,4,8,2,2", "line 2: a: K must be C for max_pool, received 8 and 4"),
        ("a,relu,1,8,8,4,,1,1,2", "line 2: a: R, S and stride must be 1 for relu"),
        ("a,dense,1,1,1,4,8,3,3", "line 2: a: R, S and stride must be 1 for dense"),
        ("a,avg_pool,1,8,8,4,,3,2,1,2", "line 2: a: padding must be below R and S for avg_pool, received 2"),
        ("a,batch_norm,1,8,8,4,,1,1,1,1", "line 2: a: padding must be below R and S for batch_norm"),
        ('"a,conv,1,5,5,4', "mine.csv must be a CSV file in UTF-8: unexpected end of data"),
        ("\udcff,conv,1,5,5,4", "mine.csv must be a CSV file in UTF-8: .* can't decode"),
    ],
)
def test_files_that_list_no_layers(tmp_path, rows, message):
    path = tmp_path / "mine.csv"
    path.write_text(HEADER + rows, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ValueError, match=message):
        read_layers(path)


def test_a_file_of_a_spreadsheet(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(HEADER + "a,conv,1,5,5,4\n", encoding="utf-8-sig")
    assert [layer.name for layer in read_layers(path)] == ["a"]


def test_files_of_one_name(tmp_path):
    paths = [tmp_path / folder / "mine.csv" for folder in "ab"]
    for path in paths:
        path.parent.mkdir()
        path.write_text(f"{HEADER}{path.parent.name},conv,1,5,5,4\n")
    found = find_layers(map(str, paths))
    assert {group: [layer.name for layer in layers] for group, layers in found.items()} == {
        "mine": ["a", "b"]
    }


def test_groups_must_divide_the_channels():
    with pytest.raises(ValueError, match="a: groups must divide C and K, received 3, 4, 4"):
        Layer("a", "conv", 1, 5, 5, 4, groups=3)


def test_unknown_layers():
    with pytest.raises(ValueError, match=r"layers must be a list .*, received 'vgg99'"):
        find_layers(["vgg99"])


def measured(name: str, ratios: dict[str, float], *, kind: str = "conv", C: int = 8, count: int = 1) -> dict:
    passes = {
        which: {"ratio": ratio, "ms": {"konv": 2.0, "b": 2.0 * ratio}} for which, ratio in ratios.items()
    }
    return {"name": name, "list": "mine", "kind": kind, "C": C, "count": count, "passes": passes}


def test_geometric_means():
    layers = [measured("a", {"forward": 1.0}), measured("b", {"forward": 4.0})]
    (mean,) = summary.geometric_means(layers)
    assert (mean["list"], mean["kind"], mean["pass"]) == ("mine", "conv", "forward")
    assert (mean["ratio"], mean["members"]) == (2.0, 2)
    assert (mean["smallest"], mean["smallest_member"]) == (1.0, "a")


def test_means_leave_out_gradients_of_images():
    layers = [measured("a", {"forward": 3.0, "grad_x": 9.0}, C=3), measured("b", {"grad_x": 2.0})]
    means = {mean["pass"]: (mean["ratio"], mean["members"]) for mean in summary.geometric_means(layers)}
    assert means == {"forward": (3.0, 1), "grad_x": (2.0, 1)}


def test_pooling_and_relu_have_a_mean_together():
    layers = [measured("a", {"forward": 2.0, "grad_x": 2.0}, kind="relu")]
    layers.append(measured("b", {"forward": 16.0}, kind="max_pool"))
    means = {(mean["kind"], mean["pass"]): mean["ratio"] for mean in summary.geometric_means(layers)}
    assert means["pool, relu", "all"] == pytest.approx(4.0)


def test_nothing_to_compare_with_has_no_means():
    layer = measured("a", {"forward": 1.0})
    del layer["passes"]["forward"]["ratio"]
    assert summary.geometric_means([layer]) == []


def test_totals_count_every_layer_of_a_network():
    layers = [measured("a", {"forward": 1.0}, count=3), measured("b", {"forward": 2.0})]
    assert summary.network_totals(layers) == [
        {"list": "mine", "pass": "forward", "ms": {"konv": 8.0, "b": 10.0}}
    ]


class Recorder:
    """A layer's peer that only counts copies."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.relu_forward = lambda inputs: inputs

    def place(self, data):
        return {name: array.copy() for name, array in data.items()}

    def arrays(self, which, result):
        return [result["x"]]


@pytest.mark.parametrize("pixels", [1, 10, 1000])
def test_copies_are_twice_the_cache(pixels):
    layer = Layer("a", "relu", 1, pixels, 1, 100)
    prepared = prepare_layer(Recorder(layer), "forward", cache_bytes=100_000)
    held = sum(inputs["x"].nbytes for inputs in prepared.inputs)
    assert 200_000 <= held < 200_000 + layer.input_bytes("forward")
    assert len({inputs["x"].ctypes.data for inputs in prepared.inputs}) == len(prepared.inputs)
    cached = Layer("a", "relu", 1, pixels, 1, 100, cached=1)
    assert len(prepare_layer(Recorder(cached), "forward", cache_bytes=100_000).inputs) == 1


def test_copies_of_tiny_inputs_are_few():
    layer = Layer("a", "relu", 1, 1, 1, 1)
    prepared = prepare_layer(Recorder(layer), "forward", cache_bytes=32 << 20)  # else 16 million
    assert len(prepared.inputs) == MOST_COPIES
    assert all(layer.input_bytes("forward") > 2 * (32 << 20) // MOST_COPIES for layer in members("classic"))


def test_calls_take_turns_through_the_copies():
    taken = []
    prepared = Prepared(lambda number: taken.append(number) or len(taken), range(3), lambda result: [result])
    prepared.warm_up()
    assert taken == [0, 1, 2]
    assert prepared.seconds_per_call(1e-4) < 1e-3
    assert taken == [number % 3 for number in range(len(taken))]


def test_dense_columns_follow_the_channels():
    network = Network([Operation("input", (), (2, 3, 4))])
    network.add("flatten", shape=(24,))
    network.dense(5)
    image = np.random.default_rng(0).standard_normal((2, 3, 4))
    kernel, bias = network.weights()[-1]
    wanted = image.ravel() @ kernel + bias
    kernel, bias = channels_first.weights(network)[-1]
    np.testing.assert_allclose(kernel @ image.transpose(2, 0, 1).ravel() + bias, wanted, rtol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_in_the_layers_of_konv(name):
    network = NETWORKS[name]()
    model = konv_network.build(network)
    logits = model.predict_on_batch(network.images(1))
    assert logits.shape == (1, 1000)
    assert np.isfinite(logits).all()
    # As published, with moving statistics, and without biases where batch normalisation follows.
    wanted = {"vgg16": 138_357_544, "resnet50": 25_610_152, "mobilenet_v1": 4_253_864}
    assert model.count_params() == wanted[name]
