"""Files: what comes back, to the bit, and that a bad file is told and runs nothing."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import konv
from konv import Model, Sequential, load_model
from konv.activations import Activation
from konv.callbacks import EarlyStopping
from konv.layers import (
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    Layer,
    MaxPooling2D,
)
from konv.optimizers import SGD, Adam
from konv.utils import set_random_seed
from weights import same_weights


def data():
    random = np.random.default_rng(0)
    return random.normal(size=(40, 6, 6, 1)), random.integers(0, 3, 40)


def network(optimizer="adam", trained=True):
    set_random_seed(1)
    model = Sequential(
        [
            Input((6, 6, 1)),
            Conv2D(4, 3, activation="relu", padding=((1, 0), (1, 2))),
            MaxPooling2D(),
            Flatten(),
            Dense(3, activation="softmax"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    if trained:
        model.fit(*data(), batch_size=8, epochs=2, verbose=0)
    return model


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.safetensors"
    network().save(path)
    return path


@pytest.mark.parametrize(
    "optimizer", [Adam(0.01, epsilon=1e-5), SGD(0.1), SGD(0.1, momentum=0.9, nesterov=True)]
)
def test_training_goes_on_to_the_same_bits(tmp_path, optimizer):
    model = network(optimizer)
    model.optimizer.learning_rate = 0.003
    model.save(tmp_path / "model")
    restored = load_model(str(tmp_path / "model"))
    assert restored.get_config() == model.get_config()
    assert restored.optimizer.get_config() == model.optimizer.get_config()
    assert restored.random_state == model.random_state
    assert same_weights(model, restored)
    more = {"batch_size": 8, "epochs": 4, "initial_epoch": 2, "verbose": 0, "validation_split": 0.25}
    whole = restored.fit(*data(), **more).history  # with the epochs before, which the file held
    for name, values in model.fit(*data(), **more).history.items():
        assert whole[name][-2:] == values
    assert same_weights(model, restored)
    assert restored.optimizer.iterations == model.optimizer.iterations == 10 + 8


def test_a_model_that_is_not_compiled_or_not_trained(tmp_path):
    model = Sequential([Dense(2, input_shape=(3,))])
    model.save(tmp_path / "model")
    restored = load_model(tmp_path / "model")
    assert same_weights(model, restored)
    assert not restored.compiled
    fresh = network(trained=False)
    fresh.save(tmp_path / "model")
    restored = load_model(tmp_path / "model")
    assert fresh.fit(*data(), verbose=0).history == restored.fit(*data(), verbose=0).history


def test_frozen_and_nested_layers(tmp_path):
    base = Sequential([Dense(4, name="inner", trainable=False), Dense(4)], name="base")
    model = Sequential([Input((3,)), base, Dense(2)])
    right = konv.metrics.SparseCategoricalAccuracy("right")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=[right])
    x, y = np.ones((4, 3)), np.zeros(4)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model")
    restored = load_model(tmp_path / "model")
    assert not restored.layers[0].layers[0].trainable
    assert model.fit(x, y, verbose=0).history == restored.fit(x, y, verbose=0).history
    assert same_weights(model, restored)


class Doubling(Layer):
    def forward(self, inputs, context):
        return inputs * 2, None


def test_layers_of_ones_own(tmp_path):
    model = Sequential([Input((3,)), Doubling(name="twice"), Sequential([Doubling()])])
    model.save(tmp_path / "model")
    restored = load_model(tmp_path / "model", custom_objects={"Doubling": Doubling})
    assert restored(np.ones((1, 3))).tolist() == [[4, 4, 4]]
    with pytest.raises(ValueError, match="unknown class of layers 'Doubling'"):
        load_model(tmp_path / "model")


def test_the_same_model_gives_the_same_file(tmp_path):
    path = tmp_path / "model"
    model = network()
    model.save(path)
    first = path.read_bytes()
    load_model(path).save(path)
    assert path.read_bytes() == first


def test_loading_draws_no_weights(saved, monkeypatch):
    monkeypatch.setattr(konv.initializers.GlorotUniform, "__call__", None)
    load_model(saved)


def test_saving_follows_links_and_leaves_nothing_else(tmp_path, saved):
    link = tmp_path / "link"
    link.symlink_to(saved)
    model = network(trained=False)
    model.save(link)
    assert link.is_symlink()
    assert same_weights(model, load_model(saved))
    model.save(os.fsencode(saved))
    assert sorted(os.listdir(tmp_path)) == ["link", "model.safetensors"]


def test_a_failed_save_leaves_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()

    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        network(trained=False).save(saved)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_a_full_disk_is_told_with_the_file(saved, monkeypatch):
    before = saved.read_bytes()

    def fail(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=rf"No space left on device: '{saved}'$"):
        network(trained=False).save(saved)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_a_save_that_another_one_overtakes_publishes_nothing(saved, monkeypatch):
    other, sync = network(), os.fsync

    def overtaken(descriptor):
        monkeypatch.setattr(os, "fsync", sync)
        left = saved.parent / f".{saved.name}.tmp"
        os.unlink(left)  # as another save begins
        left.write_bytes(b"half of a mod")
        sync(descriptor)

    before = saved.read_bytes()
    monkeypatch.setattr(os, "fsync", overtaken)
    with pytest.raises(OSError, match=rf"^save: {saved} must be saved by one at a time, received another"):
        other.save(saved)
    assert saved.read_bytes() == before
    assert (saved.parent / f".{saved.name}.tmp").read_bytes() == b"half of a mod"


def test_what_a_killed_save_left_is_replaced(saved):
    before = saved.stat().st_size
    left = saved.parent / f".{saved.name}.tmp"
    left.write_bytes(bytes(2 * before))
    network().save(saved)
    assert saved.stat().st_size == before
    assert os.listdir(saved.parent) == [saved.name]


def test_an_activation_of_ones_own_can_not_be_saved(tmp_path):
    for name in ("mine", "relu"):
        mine = Activation(name, forward=lambda x: (-x, None), backward=lambda grad, kept: -grad)
        model = Sequential([Dense(2, mine, input_shape=(3,), name="d")])
        with pytest.raises(ValueError, match=rf"^layer 'd' \(Dense\): activation must be .* named '{name}'"):
            model.save(tmp_path / "model")
    assert os.listdir(tmp_path) == []


KILLED = """
import sys, numpy as np
from konv import Sequential
from konv.layers import Dense
models = [Sequential([Dense(512, input_shape=(512,), name="d")], name=name) for name in "ab"]
for value, model in enumerate(models):
    model.set_weights([np.full(w.shape, value) for w in model.get_weights()])
models[0].save(sys.argv[1])
print("ready", flush=True)
while True:
    for model in models:
        model.save(sys.argv[1])
"""


@pytest.mark.parametrize("milliseconds", [1, 5, 11, 23])
def test_kill_during_save_leaves_a_whole_file(tmp_path, milliseconds):
    path = tmp_path / "model"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        time.sleep(milliseconds / 1000)
        process.send_signal(signal.SIGKILL)
    assert set(os.listdir(tmp_path)) <= {"model", ".model.tmp"}
    values = {value for weight in load_model(path).get_weights() for value in np.unique(weight)}
    assert values in ({0}, {1})


def rewritten(path, change):
    """Rewrite a file after `change(tensors, header)`; a str that it returns becomes the header's text."""
    with safe_open(path, framework="np") as file:
        header = json.loads(file.metadata()["konv"])
    tensors = load_file(path)
    text = change(tensors, header)
    save_file(tensors, path, {"konv": text if isinstance(text, str) else json.dumps(header)})


def layer(header, index):
    return header["model"]["config"]["layers"][index]


def renamed(tensors, old, new):
    tensors[new] = tensors.pop(old)


CONV = "weights/conv2d/kernel"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, h: h.update(format_version=1), r"format_version must be 2, received 1 \(int\)"),
        (lambda t, h: h.update(format_version=True), "format_version must be 2, received True"),
        (lambda t, h: h.pop("format_version"), "format_version must be 2, received None"),
        (lambda t, h: h.pop("compiled"), "its description must have"),
        (lambda t, h: h.update(more=1), "its description must have"),
        (lambda t, h: "[]", "format_version must be 2, received None"),
        (lambda t, h: "{", "Expecting property name"),
        (lambda t, h: '{"format_version": NaN}', "numbers must be finite, received NaN"),
        (lambda t, h: "[" * 200_000, "nested too deeply"),
        (lambda t, h: '{"format_version": ' + "9" * 5000 + "}", "digits"),
        (lambda t, h: h.update(model=3), 'a layer must be described by "class_name", a str, and'),
        (lambda t, h: h.update(model={"class_name": 1, "config": {}}), '"class_name", a str, and'),
        (
            lambda t, h: h.update(model={"class_name": "Dense", "config": {"units": 1}}),
            "must be a built model",
        ),
        (lambda t, h: h["model"].update(class_name="os.system"), "unknown class of layers 'os.system'"),
        (lambda t, h: layer(h, 2).update(class_name="Layer"), "unknown class of layers 'Layer'"),
        (lambda t, h: h["model"]["config"]["layers"].pop(0), "must be a built model"),
        (lambda t, h: layer(h, 0)["config"].update(shape=3), "shape must be a tuple"),
        (lambda t, h: layer(h, 0)["config"].update(batch_size=0), "batch_size must be an int of at least 1"),
        (
            lambda t, h: h["model"]["config"]["layers"].insert(1, layer(h, 0)),
            "Input must come first and once",
        ),
        (lambda t, h: h["model"]["config"].update(layers={}), "config must have name"),
        (lambda t, h: h["model"]["config"].update(name=3), "name must be a str"),
        (lambda t, h: h["model"]["config"].update(more=1), "config must have name"),
        (lambda t, h: layer(h, 1)["config"].update(filters=0), "filters must be an int of at least 1"),
        (lambda t, h: layer(h, 1)["config"].update(filters=2**60), r"layer 'conv2d.*' \(Conv2D\)|kernel"),
        (lambda t, h: layer(h, 1)["config"].update(filters=2**31), "kernel.* must have shape"),
        (
            lambda t, h: layer(h, 1)["config"].update(evil=1),
            "Conv2D: arguments must be .* received evil",
        ),
        (
            lambda t, h: layer(h, 1)["config"].update(kernel_initializer="eval"),
            "kernel_initializer must be one of",
        ),
        (lambda t, h: h["compiled"].update(optimizer="rmsprop"), "must be one of"),
        (
            lambda t, h: h["compiled"].update(optimizer={"class_name": "Adam", "config": {"beta_1": 7}}),
            "beta_1 must be in",
        ),
        (
            lambda t, h: h["compiled"].update(optimizer={"class_name": "Adam"}),
            'must have "class_name" and "config"',
        ),
        (lambda t, h: h["compiled"].update(loss=3), "must be a str or an instance of Loss"),
        (lambda t, h: h.update(compiled=3), "its compiled must be a dict, received 3"),
        (lambda t, h: h.update(callbacks=3), "its callbacks must each be a class's name and a list of names"),
        (lambda t, h: h.update(callbacks=[["History", [3]]]), "its callbacks must each be"),
        (lambda t, h: h.update(callbacks=[["History"]]), "its callbacks must each be"),
        (lambda t, h: h.update(callbacks=[["History", ["best"]]]), "must have one tensor 'callbacks/0/best'"),
        (lambda t, h: t.pop("training/epoch"), "must have one tensor 'training/epoch'"),
        (lambda t, h: h.update(slots=["nowhere"]), "its slots must be paths of its weights"),
        (lambda t, h: h.update(slots=h["slots"] * 2), "must have one tensor 'optimizer/momentum"),
        (lambda t, h: h.update(slots=[]), "tensors of its model alone, received also"),
        (lambda t, h: t.pop("random/seed"), "must have one tensor 'random/seed'"),
        (
            lambda t, h: t.update({"random/step": np.array(-1)}),
            "'random/step' must be from 0 to 4611686018427387904, received -1",
        ),
        (
            lambda t, h: t.update({"optimizer/iterations": np.array(2**63 - 1)}),
            "'optimizer/iterations' must be from 0 to 4611686018427387904, received 9223372036854775807",
        ),
        (
            lambda t, h: h["compiled"].update(metrics=[{}]),
            "metrics must have no dict inside of a list or a dict",
        ),
        (
            lambda t, h: t.update({"random/step": np.zeros(3, np.int64)}),
            r"'random/step' must have shape \(\)",
        ),
        (
            lambda t, h: t.update({"random/step": np.array(1.5)}),
            "'random/step' must have shape .* received .* F64",
        ),
        (lambda t, h: t.update(extra=np.zeros(1)), "tensors of its model alone, received also"),
        (lambda t, h: t.pop(kernel_name(t)), "must have one tensor 'weights/conv2d"),
        (lambda t, h: t.update({kernel_name(t): t[kernel_name(t)][:2]}), "kernel' must have shape"),
        (
            lambda t, h: t.update({kernel_name(t): t[kernel_name(t)].astype("f8")}),
            "dtype F32, received .* F64",
        ),
    ],
)
def test_hostile_descriptions(saved, change, message):
    rewritten(saved, change)
    with pytest.raises(ValueError, match=message) as error:
        load_model(saved)
    assert str(error.value).startswith(f"load_model: {saved}")


def kernel_name(tensors):
    (name,) = (name for name in tensors if name.startswith("weights/conv2d") and name.endswith("kernel"))
    return name


@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.999])
def test_truncated(saved, share):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ValueError, match="is not a whole safetensors file"):
        load_model(saved)


def header_of(text):
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        b"\x80\x04\x95pickle" * 10,
        b"PK\x03\x04" + bytes(100),
        b"\xff" * 64,
        (2**40).to_bytes(8, "little") + b"{}",
        header_of(b"not json"),
        header_of(b'{"a": {"dtype": "F32", "shape": [4294967296, 4294967296, 4], "data_offsets": [0, 4]}}')
        + bytes(4),
        header_of(b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4000000]}}') + bytes(4),
    ],
)
def test_foreign_and_hostile_files(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a whole safetensors file"):
        load_model(path)


def test_a_safetensors_file_of_another_program(tmp_path):
    save_file({"a": np.zeros(3)}, tmp_path / "file")
    with pytest.raises(ValueError, match="must be written by Konv"):
        load_model(tmp_path / "file")


def test_what_is_no_file(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"load_model: filepath must .*, received .* not: '.*nothing'$"
    ):
        load_model(tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"must be a file, received something else"):
        load_model(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="must be a file"):
        load_model(tmp_path / "pipe")
    with pytest.raises(TypeError, match=r"^load_model: filepath must be a str.*, received 3 \(int\)$"):
        load_model(3)
    with pytest.raises(TypeError, match="custom_objects must be a dict"):
        load_model(tmp_path, custom_objects=[Doubling])


def test_where_nothing_can_be_saved(tmp_path):
    model = network(trained=False)
    with pytest.raises(FileNotFoundError, match=r"save: the file's folder must exist, received .*nowhere'$"):
        model.save(tmp_path / "nowhere" / "model")
    os.mkfifo(tmp_path / "pipe")
    for what in (tmp_path, tmp_path / "pipe", "/dev/null"):
        with pytest.raises(ValueError, match=f"^save: {what} must be a file, received something else"):
            model.save(what)
    os.unlink(tmp_path / "pipe")
    for what in ("", b"", "x\0y"):
        with pytest.raises(ValueError, match=r"^save: filepath must be the name of a file, received b?'"):
            model.save(what)
    for ending in ("keras", "h5", "hdf5", "npz", "pt", "pth", "onnx", "KERAS"):
        message = f"^save: filepath must end in .safetensors, received 'm.{ending}'$"
        with pytest.raises(ValueError, match=message):
            model.save(f"m.{ending}")
    with pytest.raises(TypeError, match=r"^save: filepath must be a str, bytes .*, received 3\.5 \(float\)$"):
        model.save(3.5)
    with pytest.raises(ValueError, match=r"save: model .* must have been built"):
        Sequential([Dense(1)]).save(tmp_path / "model")
    assert os.listdir(tmp_path) == []


def test_a_saved_file_has_the_mode_of_any_new_file(tmp_path, saved):
    plain = tmp_path / "plain"
    plain.touch()
    assert saved.stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("mode", [0o600, 0o666, 0o400])
def test_a_file_that_is_replaced_keeps_its_mode(saved, mode):
    saved.chmod(mode)
    network().save(saved)
    assert saved.stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("name", ["m" * 255, "é" * 127, "m" * 243 + ".safetensors"])
def test_long_names(tmp_path, name):
    network().save(tmp_path / name)
    assert os.listdir(tmp_path) == [name]
    load_model(tmp_path / name)


def two_in_two_out():
    """Shared weights, a model inside, batch statistics, dropout, two inputs and two outputs."""
    set_random_seed(3)
    a, b = Input((6,), name="a"), Input((6,), name="b")
    shared = Dense(6, activation="relu", name="shared")
    inner = Sequential([Dense(5), BatchNormalization(), Dropout(0.3)], name="inner")
    both = Add()([inner(shared(a)), inner(shared(shared(b)))])
    model = Model([a, b], [Dense(3, activation="softmax", name="kind")(both), Dense(1, name="size")(both)])
    model.compile(
        "adam",
        {"kind": "sparse_categorical_crossentropy", "size": "mse"},
        loss_weights={"kind": 1.0, "size": 0.5},
        metrics={"kind": ["accuracy"]},
    )
    random = np.random.default_rng(0)
    x = {name: random.normal(size=(20, 6)) for name in "ab"}
    y = {"kind": random.integers(0, 3, 20), "size": random.normal(size=(20, 1))}
    return model, x, y


def test_a_graph_goes_on_to_the_same_bits(tmp_path):
    model, x, y = two_in_two_out()
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    model.save(tmp_path / "model")
    restored = load_model(tmp_path / "model")
    assert restored.get_config() == model.get_config()
    assert restored.get_compile_config() == model.get_compile_config()
    assert restored.epoch == model.epoch == 2
    more = {"batch_size": 8, "epochs": 4, "initial_epoch": 2, "verbose": 0}
    model.fit(x, y, **more)
    restored.fit(x, y, **more)
    assert same_weights(model, restored)
    for mine, theirs in zip(model.predict(x, verbose=0), restored.predict(x, verbose=0), strict=True):
        assert np.array_equal(mine, theirs)


def test_states_of_callbacks_come_back(tmp_path):
    model = network()
    model.fit(*data(), batch_size=8, epochs=2, verbose=0, callbacks=[EarlyStopping("loss", patience=3)])
    model.save(tmp_path / "model")
    restored = load_model(tmp_path / "model")
    expected, found = model.callback_states(), restored.callback_states()
    assert [name for name, _ in found] == [name for name, _ in expected]
    assert "EarlyStopping" in [name for name, _ in found]
    for (_, mine), (_, theirs) in zip(expected, found, strict=True):
        np.testing.assert_equal(theirs, mine)
    restored.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()


def graph_call(header, index):
    return header["model"]["config"]["calls"][index]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, h: graph_call(h, 0).update(inputs=[["shared", 0, 0]]), "of a call before"),
        (lambda t, h: h["model"]["config"].update(calls={}), "calls must be a list"),
        (
            lambda t, h: h["model"]["config"].update(outputs=[["a", 0, 0]]),
            "loss must have names of the model",
        ),
        (lambda t, h: h["model"]["config"].update(inputs=["a"]), "outputs must depend on nothing but"),
    ],
)
def test_hostile_graphs(tmp_path, change, message):
    path = tmp_path / "model"
    two_in_two_out()[0].save(path)
    rewritten(path, change)
    with pytest.raises(ValueError, match=message) as error:
        load_model(path)
    assert str(error.value).startswith(f"load_model: {path}")
