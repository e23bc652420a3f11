"""Models of several inputs and outputs: how data, losses, metrics and weights are shared out among them."""

from __future__ import annotations

import numpy as np
import pytest

import konv
from konv import Model
from konv.layers import Add, Dense, Input
from konv.losses import MeanSquaredError
from konv.utils import set_random_seed
from weights import same_weights

RNG = np.random.default_rng(5)
LEFT, RIGHT = RNG.normal(size=(12, 3)), RNG.normal(size=(12, 2))
KIND, SIZE = RNG.integers(0, 4, 12), RNG.normal(size=(12, 1))
CE, MSE = "sparse_categorical_crossentropy", "mse"


def network(outputs=("size", "kind")):
    """Inputs left (3) and right (2); outputs kind (softmax of 4) and size (1 number)."""
    set_random_seed(3)
    left, right = Input((3,), name="left"), Input((2,), name="right")
    hidden = Add()([Dense(5, activation="relu", name="a")(left), Dense(5, name="b")(right)])
    heads = {"kind": Dense(4, activation="softmax", name="kind"), "size": Dense(1, name="size")}
    return Model([left, right], [heads[name](hidden) for name in outputs])


def compiled(loss=None, outputs=("size", "kind"), **options):
    model = network(outputs)
    model.compile(konv.optimizers.SGD(0.1), loss or {"size": MSE, "kind": CE}, **options)
    return model


def probabilities(model):
    return model.predict([LEFT, RIGHT], verbose=0)[1].astype(np.float64)


def test_the_whole_loss_is_the_weighted_sum():
    model = compiled(loss_weights={"kind": 0.25})
    size, _ = model.predict([LEFT, RIGHT], verbose=0)
    squares = np.mean((size - SIZE) ** 2)
    entropy = -np.log(probabilities(model)[np.arange(12), KIND]).mean()
    logs = model.evaluate([LEFT, RIGHT], [SIZE, KIND], verbose=0, return_dict=True)
    assert list(logs) == ["loss", "size_loss", "kind_loss"]
    assert logs["size_loss"] == pytest.approx(squares, rel=1e-5)
    assert logs["kind_loss"] == pytest.approx(entropy, rel=1e-5)
    assert logs["loss"] == pytest.approx(squares + 0.25 * entropy, rel=1e-5)
    assert model.evaluate([LEFT, RIGHT], [SIZE, KIND], verbose=0) == list(logs.values())


def test_batches_weigh_by_their_samples_in_the_loss_of_each_output():
    model, data = compiled(), ([LEFT, RIGHT], [SIZE, KIND])
    whole = model.evaluate(*data, batch_size=12, verbose=0)
    assert model.evaluate(*data, batch_size=5, verbose=0) == pytest.approx(whole, rel=1e-6)  # float32


def test_gradients_are_weighted_as_the_losses():
    """Numeric: the loss along a random direction of the weights."""
    model = compiled(loss_weights=[2.0, 0.5])
    weights = model.get_weights()
    data = [LEFT, RIGHT], [SIZE, KIND], [np.linspace(0, 2, 12), np.linspace(1, 3, 12)]
    direction = [RNG.normal(size=weight.shape) for weight in weights]
    step = 1e-2  # of float32: the error of the difference is about 1e-7 / step, that of the formula step**2
    losses = []
    for sign in (1, -1):
        model.set_weights([w + sign * step * d for w, d in zip(weights, direction, strict=True)])
        losses.append(model.test_on_batch(*data, return_dict=True)["loss"])
    model.set_weights(weights)
    model.train_on_batch(*data)
    slope = -sum(
        np.vdot(new - old, d) for new, old, d in zip(model.get_weights(), weights, direction, strict=True)
    )
    assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(slope / 0.1, rel=1e-3)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([LEFT, RIGHT], [SIZE, KIND]),
        ((LEFT, RIGHT), (SIZE, KIND)),
        ({"right": RIGHT, "left": LEFT}, {"kind": KIND, "size": SIZE}),
    ],
)
@pytest.mark.parametrize("loss", [{"kind": CE, "size": MSE}, [MSE, CE], (MeanSquaredError(), CE)])
def test_lists_and_dicts_are_alike(x, y, loss):
    model, twin = compiled(loss), compiled()
    history = model.fit(x, y, epochs=2, batch_size=5, verbose=0).history
    assert history == twin.fit([LEFT, RIGHT], [SIZE, KIND], epochs=2, batch_size=5, verbose=0).history
    assert same_weights(model, twin)
    for one, other in zip(
        model.predict(x, verbose=0), twin.predict([LEFT, RIGHT], batch_size=5), strict=True
    ):
        assert np.array_equal(one, other)


def test_metrics_have_keras_names_and_order():
    """Recorded from Keras 3.15: outputs zeta and alpha; the metrics of several outputs are sorted by name."""
    model = compiled(metrics=[None, ["accuracy"]], weighted_metrics={"kind": ["accuracy"], "size": "mse"})
    model.fit([LEFT, RIGHT], [SIZE, KIND], validation_split=0.5, verbose=0)
    logs = model.evaluate([LEFT, RIGHT], [SIZE, KIND], verbose=0, return_dict=True)
    assert list(logs) == [
        "loss",
        "size_loss",
        "kind_loss",
        "kind_accuracy",
        "kind_weighted_accuracy",
        "size_mse",
    ]
    assert logs["kind_accuracy"] == np.mean(probabilities(model).argmax(-1) == KIND)


def test_one_loss_serves_every_output():
    model = compiled(CE, outputs=("kind",))
    assert model.evaluate([LEFT, RIGHT], KIND, verbose=0) == model.evaluate([LEFT, RIGHT], [KIND], verbose=0)
    set_random_seed(0)
    x = Input((3,))
    both = Model(
        x, [Dense(2, activation="softmax", name="p")(x), Dense(2, activation="softmax", name="q")(x)]
    )
    both.compile("sgd", CE, loss_weights=[1.0, 3.0])
    logs = both.evaluate(LEFT, [KIND % 2, KIND % 2], verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(logs["p_loss"] + 3 * logs["q_loss"])


@pytest.mark.parametrize("labels", [[SIZE, None], [SIZE], {"size": SIZE}])
def test_an_output_without_loss_needs_no_labels(labels):
    model = compiled([MSE, None])
    before = model.get_layer("kind").get_weights()
    history = model.fit([LEFT, RIGHT], labels, verbose=0).history
    assert list(history) == ["loss"]
    after = model.get_layer("kind").get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert same_weights(model, trained_by_size_alone())


def trained_by_size_alone():
    model = compiled({"size": MSE})
    model.fit([LEFT, RIGHT], [SIZE, None], verbose=0)
    return model


def test_weights_of_samples_by_output():
    heavy = np.linspace(0, 3, 12)
    model = compiled()
    plain = model.evaluate([LEFT, RIGHT], [SIZE, KIND], verbose=0, return_dict=True)
    by_name = model.evaluate(
        [LEFT, RIGHT], [SIZE, KIND], sample_weight={"kind": heavy}, verbose=0, return_dict=True
    )
    assert by_name["size_loss"] == plain["size_loss"]
    values = -np.log(probabilities(model)[np.arange(12), KIND])
    assert by_name["kind_loss"] == pytest.approx((heavy * values).sum() / 12, rel=1e-5)
    listed = model.evaluate([LEFT, RIGHT], [SIZE, KIND], sample_weight=[None, heavy], verbose=0)
    assert listed == list(by_name.values())
    shared = model.evaluate([LEFT, RIGHT], [SIZE, KIND], sample_weight=heavy, verbose=0)
    assert shared == model.evaluate([LEFT, RIGHT], [SIZE, KIND], sample_weight=[heavy, heavy], verbose=0)


def test_predictions_are_a_list():
    model = network()
    outputs = model.predict([LEFT, RIGHT], batch_size=5, verbose=0)
    assert [array.shape for array in outputs] == [(12, 1), (12, 4)]
    for one, other in zip(outputs, model.predict_on_batch([LEFT, RIGHT]), strict=True):
        assert np.array_equal(one, other)
    assert [array.shape for array in model.predict([LEFT[:0], RIGHT[:0]])] == [(0, 1), (0, 4)]


def test_the_compile_config_restores_everything():
    options = {
        "loss_weights": {"kind": 2.0},
        "metrics": {"kind": ["acc"]},
        "weighted_metrics": [["mse"], None],
    }
    model, twin = compiled(**options), network()
    twin.compile_from_config(model.get_compile_config())
    assert twin.get_compile_config() == model.get_compile_config()
    first = model.evaluate([LEFT, RIGHT], [SIZE, KIND], verbose=0, return_dict=True)
    assert twin.evaluate([LEFT, RIGHT], [SIZE, KIND], verbose=0, return_dict=True) == first


X, Y = [LEFT, RIGHT], [SIZE, KIND]


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (ValueError, lambda m: m.compile("sgd", [MSE]), r"^compile: loss must have an entry for each of the"),
        (ValueError, lambda m: m.compile("sgd", [None, None]), "^compile: loss must be given for one output"),
        (
            ValueError,
            lambda m: m.compile("sgd", {"sizes": MSE}),
            r"^compile: loss must have names of the model",
        ),
        (ValueError, lambda m: m.compile("sgd", {}), "^compile: loss must have names of the model"),
        (
            TypeError,
            lambda m: m.compile("sgd", [[MSE], CE]),
            "^compile: loss must have one loss or None for each",
        ),
        (
            ValueError,
            lambda m: m.compile("sgd", MSE, 2.0),
            "^compile: loss_weights must have an entry for each",
        ),
        (
            TypeError,
            lambda m: m.compile("sgd", MSE, ["a", 1]),
            "^compile: each of loss_weights must be a number, received 'a'",
        ),
        (
            TypeError,
            lambda m: m.compile("sgd", MSE, [[1.0], 1.0]),
            "^compile: loss_weights must have one number for each output",
        ),
        (
            ValueError,
            lambda m: m.compile("sgd", MSE, metrics=["mse"]),
            r"^compile: metrics must have an entry for each .* 2 outputs \(size, kind\), received 1",
        ),
        (
            ValueError,
            lambda m: m.compile("sgd", MSE, weighted_metrics={"knd": "mse"}),
            "^compile: weighted_metrics must have names of the model's outputs",
        ),
        (
            ValueError,
            lambda m: m.compile("sgd", MSE, metrics={"kind": konv.metrics.MeanSquaredError("loss")}),
            r"^compile: metrics must have names of their own, .*'kind_loss'",
        ),
        (TypeError, lambda m: m.fit(LEFT, Y), r"^fit: x must be a list or a dict with an array for each"),
        (
            ValueError,
            lambda m: m.fit([LEFT], Y),
            r"^fit: x must have an entry for each of the model's 2 inputs",
        ),
        (
            ValueError,
            lambda m: m.fit({"lft": LEFT}, Y),
            r"^fit: x must have names of the model's inputs \(left",
        ),
        (TypeError, lambda m: m.fit({"left": LEFT}, Y), r"^fit: x\['right'\] must be an array"),
        (ValueError, lambda m: m.fit([LEFT, LEFT], Y), r"^fit: x\['right'\] must have shape \(None, 2\)"),
        (
            ValueError,
            lambda m: m.fit([LEFT, RIGHT[:5]], Y),
            r"^fit: x\['right'\] and x\['left'\] must be equally long, received 5 and 12",
        ),
        (TypeError, lambda m: m.fit(X, SIZE), "^fit: y must be a list or a dict with an array for each"),
        (ValueError, lambda m: m.fit(X, [SIZE]), "^fit: y must have an entry for each"),
        (TypeError, lambda m: m.fit(X, [SIZE, None]), r"^fit: y\['kind'\] must be an array"),
        (
            ValueError,
            lambda m: m.fit(X, [SIZE, KIND[:3]]),
            r"^fit: x and y\['kind'\] must be equally long, 1 at least, received 12 and 3",
        ),
        (
            ValueError,
            lambda m: m.fit(X, [SIZE, np.zeros((12, 4))]),
            r"^fit: y\['kind'\] must be integers of shape \(12,\)",
        ),
        (
            ValueError,
            lambda m: m.fit(X, Y, sample_weight={"kind": np.ones((12, 7))}),
            "^fit: output 'kind': sample_weight must have shape",
        ),
        (
            ValueError,
            lambda m: m.fit(X, Y, sample_weight=np.ones(7)),
            r"^fit: x and sample_weight\['size'\] must be equally long",
        ),
        (
            ValueError,
            lambda m: m.fit(X, Y, class_weight={0: 2.0}),
            r"^fit: class_weight must be None for a model of several outputs \(size, kind\)",
        ),
        (TypeError, lambda m: m.compile_from_config(3), "^compile_from_config: config must be a dict"),
        (
            ValueError,
            lambda m: m.compile_from_config({"loss": MSE}),
            "^compile_from_config: config must have opt",
        ),
    ],
)
def test_errors(error, call, message):
    model = compiled()
    before = model.get_weights()
    with pytest.raises(error, match=message):
        call(model)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    model.fit(X, Y, verbose=0)
