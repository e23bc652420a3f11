"""Graphs: what is kept and for how long, which gradients are computed, depth, and hostile descriptions."""

from __future__ import annotations

import copy
import pickle
import threading
import weakref

import numpy as np
import pytest

from konv import Model, Sequential
from konv.layers import Context, Dense, Input, Layer, ReLU
from konv.models.graph import Graph

ONES = np.ones((2, 4), np.float32)


class Sum(Layer):
    several_inputs = True

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def forward(self, inputs, context):
        return sum(inputs), len(inputs)

    def backward(self, grad, saved, *, needs_input):
        return [grad] * saved if needs_input else None, []


class Spy(Layer):
    """Copies, and notes which of its own kind hold an array while it runs, and what it is asked."""

    def __init__(self, others, **options):
        super().__init__(**options)
        self.others = others
        others.append(self)
        self.held = weakref.ref(self)  # of nothing that dies
        self.asked = []

    def alive(self):
        return [spy.name for spy in self.others if spy is not self and spy.held() is not None]

    def forward(self, inputs, context):
        outputs = inputs.copy()
        self.seen = self.alive()
        self.held = weakref.ref(outputs)
        return outputs, outputs

    def backward(self, grad, saved, *, needs_input):
        self.asked.append(needs_input)
        self.seen = self.alive()
        return grad + 0, []


def diamond():
    """Four spies a to d: a, then b and c that both read a, then d that reads b + c."""
    spies = []
    x = Input((4,))
    a = Spy(spies, name="a")(x)
    b, c = Spy(spies, name="b")(a), Spy(spies, name="c")(a)
    d = Spy(spies, name="d")(Sum(name="sum")([b, c]))
    for spy in spies:
        spy.held = lambda: None
    return Model(x, ReLU()(d)), spies


def test_forward_frees_what_nothing_needs_any_more():
    model, spies = diamond()
    model.run_forward([ONES], Context(for_backward=False), [False])
    assert [spy.seen for spy in spies] == [[], ["a"], ["a", "b"], []]


def test_an_output_inside_is_not_freed():
    model, spies = diamond()
    inside = Model(model.input, [spies[0].output, model.output])
    outputs, _ = inside.run_forward([ONES], Context(for_backward=False), [False] * 2)
    assert spies[3].seen == ["a"]
    assert np.array_equal(outputs[0], ONES)


def test_backward_frees_what_is_spent():
    model, spies = diamond()
    outputs, saved = model.run_forward([ONES], Context(), [False])
    grads = [np.ones_like(outputs[0])]
    del outputs
    (grad,), _ = model.run_backward(grads, saved, needs_input=True)
    # In reverse: each spy's own array is with it, those of spies before are kept, those after are gone.
    assert [spy.seen for spy in spies] == [[], ["a"], ["a", "b"], ["a", "b", "c"]]
    assert np.array_equal(grad, 2 * ONES)


def test_no_gradient_that_nobody_needs():
    spies = []
    x, y = Input((4,)), Input((4,))
    frozen, tuned = Dense(4, trainable=False), Dense(4)
    below_frozen, below_tuned = Spy(spies)(x), Spy(spies)(y)
    left, right = Spy(spies)(frozen(below_frozen)), Spy(spies)(tuned(below_tuned))
    model = Model([x, y], Spy(spies)(Sum()([left, right])))

    def asked(needs_input):
        for spy in spies:
            spy.asked = []
        outputs, saved = model.run_forward([ONES, ONES], Context(training=True), [False])
        grads, weights = model.run_backward(outputs, saved, needs_input=needs_input)
        return [spy.asked for spy in spies], [grad is not None for grad in grads], len(weights)

    # By spy: below the frozen layer and the tuned one, above them, at the end.
    assert asked(False) == ([[], [], [], [True], [True]], [False, False], 2)
    assert asked(True) == ([[True]] * 5, [True, True], 2)
    assert asked([True, False]) == ([[True], [], [True], [True], [True]], [True, False], 2)
    tuned.trainable = False
    assert asked(False) == ([[]] * 5, [False, False], 0)


def test_an_output_without_gradient_costs_nothing_and_gives_zeros():
    spies = []
    x = Input((4,))
    used, unused = Dense(4), Dense(4)
    model = Model(x, [used(x), Spy(spies)(unused(x))])
    outputs, saved = model.run_forward([ONES], Context(training=True), [False] * 2)
    _, weights = model.run_backward([outputs[0], None], saved, needs_input=False)
    assert spies[0].asked == []
    by_variable = dict(zip(model.trainable_variables, weights, strict=True))
    assert all(by_variable[variable].any() for variable in used.variables)
    assert not any(by_variable[variable].any() for variable in unused.variables)


def test_a_gradient_array_that_a_layer_passes_on_twice_is_not_changed():
    x = Input((4,))
    relu = ReLU()(x)
    model = Model(x, Sum()([relu, relu, relu]))
    grad = np.ones_like(ONES)
    _, saved = model.run_forward([ONES], Context(), [False])
    (grad_x,), _ = model.run_backward([grad], saved, needs_input=True)
    assert np.array_equal(grad_x, 3 * ONES)
    assert np.array_equal(grad, ONES)


def test_depth_is_no_matter():
    x = y = Input((4,), name="x")
    for _ in range(3000):
        y = ReLU()(y)
    y = Dense(2)(y)
    model = Model(x, y)
    assert model.layers[1].input is x
    for twin in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model)), copy.copy(model)):
        outputs, saved = twin.run_forward([ONES], Context(), [False])
        grads, _ = twin.run_backward(outputs, saved, needs_input=True)
        assert grads[0].shape == (2, 4)
    twin = Model.from_config(model.get_config())
    assert len(twin.layers) == 3002


def test_a_copy_shares_nothing_and_is_connected():
    x = Input((4,))
    dense = Dense(2, name="d")
    model = Model(x, dense(x))
    twin = copy.deepcopy(model)
    twin_dense = twin.get_layer("d")
    assert twin_dense.output is twin.output
    assert twin.input.node.layer is twin.layers[0]
    features = Model(twin.input, [twin_dense.output])
    assert features.variables == twin.variables != model.variables
    assert model.output is dense.output


def test_a_layer_is_copied_without_its_place():
    dense = Dense(2)
    dense(Input((4,)))
    twin = copy.deepcopy(dense)
    assert not hasattr(twin, "output")
    assert np.array_equal(twin(ONES), dense(ONES))


def test_several_threads_run_one_model():
    model, _ = diamond()
    model = Model(model.input, Dense(3)(model.output))
    random = np.random.default_rng(0)
    inputs = [random.normal(size=(2, 4)).astype(np.float32) for _ in range(4)]

    def run(x):
        outputs, saved = model.run_forward([x], Context(), [False])
        return model.run_backward(outputs, saved, needs_input=True)

    def many(index):
        for _ in range(50):
            results[index].append(run(inputs[index]))

    expected = [run(x) for x in inputs]
    results = [[] for _ in inputs]
    threads = [threading.Thread(target=many, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for wanted, found in zip(expected, results, strict=True):
        assert len(found) == 50
        for result in found:
            np.testing.assert_equal(result, wanted)


def test_a_chain_is_one():
    assert Graph.chain([ReLU(), ReLU()]).is_chain
    x = Input((4,))
    relu = ReLU()
    assert Model(x, ReLU()(relu(x))).graph.is_chain
    assert not Model(x, relu(relu(x))).graph.is_chain
    assert not Model(x, [relu(x), x]).graph.is_chain
    assert not Model([x, Input((4,))], relu(x)).graph.is_chain


def config():
    x = Input((4,), name="x")
    y = Dense(4, name="d")(x)
    return Model(x, Dense(4, name="e")(y), name="net").get_config()


WHERE = "^Model: "


@pytest.mark.parametrize(
    ("error", "change", "message"),
    [
        (ValueError, lambda c: c.pop("calls"), WHERE + "config must have name, trainable, layers, calls,"),
        (ValueError, lambda c: c.update(more=1), WHERE + "config must have"),
        (ValueError, lambda c: c.update(layers={}), WHERE + "config must have"),
        (ValueError, lambda c: c["layers"].append(c["layers"][1]), "different names, received a second 'd'"),
        (ValueError, lambda c: c["layers"].append(3), "a layer must be described by"),
        (ValueError, lambda c: c.update(calls=3), WHERE + "calls must be a list, received 3"),
        (ValueError, lambda c: c["calls"].append(3), WHERE + "each call must have layer, inputs, training"),
        (ValueError, lambda c: c["calls"][0].update(more=1), WHERE + "each call must have"),
        (
            ValueError,
            lambda c: c["calls"][0].update(layer="z"),
            WHERE + "each call must name one of the layers",
        ),
        (
            ValueError,
            lambda c: c["calls"][0].update(layer=["d"]),
            WHERE + "each call must name one of the layers",
        ),
        (
            ValueError,
            lambda c: c["calls"][0].update(layer="x"),
            WHERE + "each call must name one of the layers",
        ),
        (
            ValueError,
            lambda c: c["calls"][0].update(inputs=[]),
            r"layer 'd' \(Dense\) must have one input, .* 0",
        ),
        (
            ValueError,
            lambda c: c["calls"][0].update(inputs=[["x", 0, 0]] * 2),
            WHERE + r"layer 'd' \(Dense\) must have one input, received 2",
        ),
        (ValueError, lambda c: c["calls"][0].update(inputs=3), WHERE + "tensors must be a list, received 3"),
        (TypeError, lambda c: c["calls"][0].update(training=1), WHERE + "training of a call must be True or"),
        (
            ValueError,
            lambda c: c["calls"][0].update(inputs=[["e", 0, 0]]),  # a circle
            WHERE + r"each tensor must be \[layer, call, output\] of a call before, received \['e', 0, 0\]",
        ),
        (ValueError, lambda c: c["calls"][0].update(inputs=[["d", 0, 0]]), "of a call before"),
        (ValueError, lambda c: c["calls"][0].update(inputs=[["x", 0, 1]]), "of a call before"),
        (ValueError, lambda c: c["calls"][0].update(inputs=[["x", -1, 0]]), "of a call before"),
        (ValueError, lambda c: c["calls"][0].update(inputs=[["x", 0, True]]), "of a call before"),
        (ValueError, lambda c: c["calls"][0].update(inputs=[["x", 2**70, 0]]), "of a call before"),
        (ValueError, lambda c: c["calls"][0].update(inputs=[[["x"], 0, 0]]), "of a call before"),
        (ValueError, lambda c: c["calls"][0].update(inputs=["x"]), "of a call before"),
        (ValueError, lambda c: c.update(outputs=3), WHERE + "tensors must be a list, received 3"),
        (ValueError, lambda c: c.update(outputs=["x", 0, 0]), "of a call before, received 'x'"),
        (TypeError, lambda c: c.update(outputs=[]), r"outputs must be a tensor.* received \[\]"),
        (ValueError, lambda c: c.update(inputs=[]), WHERE + "inputs must be a list of names"),
        (ValueError, lambda c: c.update(inputs="x"), WHERE + "inputs must be a list of names"),
        (ValueError, lambda c: c.update(inputs=["z"]), "of a call before"),
        (ValueError, lambda c: c.update(inputs=["x", "x"]), "inputs must be different tensors"),
        (TypeError, lambda c: c.update(trainable=1), WHERE + "trainable must be True or False"),
        (TypeError, lambda c: c.update(name=3), "name must be a str"),
    ],
)
def test_hostile_descriptions(error, change, message):
    described = config()
    change(described)
    with pytest.raises(error, match=message):
        Model.from_config(described)


def test_a_config_must_be_a_dict():
    with pytest.raises(TypeError, match=r"^Model: config must be a dict, received 3 \(int\)$"):
        Model.from_config(3)


def test_a_short_description_of_endless_work_is_refused():
    model = Sequential([Input((4,)), ReLU()])
    for level in range(5):
        x = y = Input((4,), name="x")
        for _ in range(10):
            y = model(y)
        model = Model(x, y, name=f"level_{level}")
    assert model.layer_calls == 100_000
    described = model.get_config()
    assert Model.from_config(described).layer_calls == 100_000
    described["calls"] += [{"layer": "level_3", "inputs": [["level_3", 9, 0]], "training": None}]
    with pytest.raises(ValueError, match=r"^Model: models inside must run at most 100,000 layers in all"):
        Model.from_config(described)


def test_a_shared_layer_stands_where_it_is_farthest_from_the_outputs():
    near, far = Input((4,), name="near"), Input((4,), name="far")
    shared = Dense(4, name="shared")
    ends = [shared(near), ReLU(name="second")(ReLU(name="first")(shared(far)))]
    for order in (ends, ends[::-1]):
        names = [layer.name for layer in Model([near, far], Sum(name="sum")(order)).layers]
        assert names.index("shared") < names.index("first")
