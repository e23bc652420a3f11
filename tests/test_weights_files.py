"""Files of weights: what comes back, and that a bad file is told and changes nothing."""

from __future__ import annotations

import os
import zipfile

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from konv import Model, Sequential
from konv.layers import Conv2D, Dense, Flatten, Input
from weights import same_weights

ENDINGS = (".safetensors", ".npz")


def network(seed=0):
    inner = Sequential([Dense(4, name="d")], name="inner")
    x = Input((5, 5, 1), name="x")
    y = Flatten(name="f")(Conv2D(2, 3, name="c")(x))
    model = Model(x, Dense(2, name="e")(inner(y)), name="net")
    random = np.random.default_rng(seed)
    model.set_weights([random.normal(size=weight.shape) for weight in model.get_weights()])
    return model


PATHS = ["c/bias", "c/kernel", "e/bias", "e/kernel", "inner/d/bias", "inner/d/kernel"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_round_trip(tmp_path, ending):
    path = tmp_path / f"weights{ending.upper()}"
    model, other = network(1), network(2)
    model.save_weights(path)
    other.load_weights(os.fspath(path))
    assert same_weights(model, other)
    content = path.read_bytes()
    other.save_weights(path)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == [path.name]


def test_others_read_the_files(tmp_path):
    model = network()
    model.save_weights(tmp_path / "w.npz")
    model.save_weights(tmp_path / "w.safetensors")
    expected = {name: variable.value for name, variable in model.named_variables()}
    with np.load(tmp_path / "w.npz") as arrays:
        np.testing.assert_equal(dict(arrays), expected)
    np.testing.assert_equal(load_file(tmp_path / "w.safetensors"), expected)
    assert sorted(expected) == PATHS


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_files_of_others_are_read(tmp_path, save):
    model, other = network(1), network(2)
    arrays = {name: np.asfortranarray(variable.value) for name, variable in model.named_variables()}
    arrays["c/bias"] = arrays["c/bias"].astype(">f8")
    save(tmp_path / "w.npz", **arrays)
    other.load_weights(tmp_path / "w.npz")
    assert same_weights(model, other)


def test_weights_of_a_saved_model(tmp_path):
    model, other = network(1), network(2)
    model.save(tmp_path / "model.safetensors")
    other.load_weights(tmp_path / "model.safetensors")
    assert same_weights(model, other)


def unnamed(classes=3):
    """Layers without names of their own, one with a name, and a model inside."""
    x = Input((8, 8, 1))
    y = Conv2D(1, 1)(Conv2D(1, 1)(Conv2D(1, 1, name="conv2d_of_mine")(x)))
    inner = Sequential([Dense(4), Dense(4)])
    model = Model(x, Dense(classes)(inner(Flatten()(y))))
    random = np.random.default_rng(len(model.layers) + classes)
    model.set_weights([random.normal(size=weight.shape) for weight in model.get_weights()])
    return model


@pytest.mark.parametrize(
    ("save", "ending"),
    [("save_weights", ".npz"), ("save_weights", ".safetensors"), ("save", ".safetensors")],
)
def test_layers_without_names_go_by_their_order(tmp_path, ending, save):
    path = tmp_path / f"w{ending}"
    model = unnamed()
    getattr(model, save)(path)
    for _ in range(2):  # whatever numbers the names have come to
        other = unnamed()
        other.set_weights([weight * 0 for weight in other.get_weights()])
        assert [name for name, _ in other.named_variables()] != [name for name, _ in model.named_variables()]
        other.load_weights(path)
        assert same_weights(model, other)


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_order_is_that_of_numbers_not_of_letters(tmp_path, ending):
    def chain(first):
        return Sequential([Input((1,)), *(Dense(1, name=f"dense_{first + n}") for n in (0, 1, 2))])

    path = tmp_path / f"w{ending}"
    model, other = chain(9), chain(11)
    model.set_weights([np.full(weight.shape, n) for n, weight in enumerate(model.get_weights())])
    model.save_weights(path)
    other.load_weights(path)
    assert same_weights(model, other)


def test_layers_without_names_must_be_as_many_and_of_the_same_shapes(tmp_path):
    path = tmp_path / "w.npz"
    unnamed().save_weights(path)
    other = unnamed(classes=5)
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"'dense\w*/kernel' must have shape \(4, 5\), received \(4, 3\)"):
        other.load_weights(path)
    shorter = Model(other.inputs, other.layers[1](other.inputs[0]))
    with pytest.raises(ValueError, match=r"it lacks \[\] \(list\) and has also \['conv2d"):
        shorter.load_weights(path)
    fewer = Sequential([Input((8, 8, 1)), Conv2D(1, 1, name="conv2d_of_mine"), Conv2D(1, 1)])
    with pytest.raises(ValueError, match=r"it lacks \['conv2d_\d+/kernel', 'conv2d_\d+/bias'\]"):
        fewer.load_weights(path)
    assert all(map(np.array_equal, before, other.get_weights()))


def test_names_that_were_given_count(tmp_path):
    path = tmp_path / "w.npz"
    Sequential([Input((2,)), Dense(2, name="first"), Dense(2, name="second")]).save_weights(path)
    other = Sequential([Input((2,)), Dense(2, name="first"), Dense(2, name="third")])
    with pytest.raises(ValueError, match=r"lacks \['third/kernel', 'third/bias'\].* has also \['second"):
        other.load_weights(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch, ending):
    path = tmp_path / f"w{ending}"
    network().save_weights(path)
    before = path.read_bytes()

    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        network(3).save_weights(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def write(path, arrays):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        save_file(arrays, path)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("c/bias"), r"must hold the weights of model 'net' \(Model\), it lacks \['c/bias'\]"),
        (lambda a: a.update(more=np.zeros(1)), r"it lacks \[\] \(list\) and has also \['more'\]"),
        (lambda a: a.update({"c/bias": np.zeros(3)}), r"'c/bias' must have shape \(2,\), received \(3,\)"),
        (lambda a: a.update({"e/kernel": a["e/kernel"].T.copy()}), r"'e/kernel' must have shape \(4, 2\)"),
        (lambda a: a.update({"e/bias": np.full(2, 1e300)}), "'e/bias': .* must be in the range of float32"),
        (lambda a: a.update({"e/bias": np.zeros(2, bool)}), "real numbers, received .*bool"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(tmp_path, ending, change, message):
    model = network(1)
    arrays = {name: np.array(variable.value) + 1 for name, variable in model.named_variables()}
    change(arrays)
    path = tmp_path / f"w{ending}"
    write(path, arrays)
    with pytest.raises(ValueError, match=message) as error:
        model.load_weights(path)
    assert str(error.value).startswith(f"load_weights: {path}")
    assert same_weights(model, network(1))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.9, 0.999])
def test_truncated(tmp_path, ending, share):
    path = tmp_path / f"w{ending}"
    network(2).save_weights(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    model = network(1)
    with pytest.raises(ValueError, match=f"^load_weights: {path} is not a whole {ending[1:]} file: "):
        model.load_weights(path)
    assert same_weights(model, network(1))


@pytest.mark.parametrize("position", range(0, 1946, 37))
def test_a_damaged_byte_loads_nothing_or_what_was_saved(tmp_path, position):
    path = tmp_path / "w.npz"
    network(2).save_weights(path)
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 0xFF
    path.write_bytes(content)
    model = network(1)
    message = None
    try:
        model.load_weights(path)
    except ValueError as error:
        message = str(error)
    assert message is None or message.startswith(f"load_weights: {path}")
    assert same_weights(model, network(1 if message else 2))


def test_a_member_that_lies_outside_of_the_file(tmp_path):
    path = tmp_path / "w.npz"
    network().save_weights(path)
    content = bytearray(path.read_bytes())
    end = content.rindex(b"PK\x05\x06")
    content[end + 16 : end + 20] = (0xFFFFFF00).to_bytes(4, "little")  # where the directory is said to be
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^load_weights: {path} is not a whole npz file: "):
        network().load_weights(path)


def member(header, body=b"", version=b"\x01\x00"):
    header = header.encode("latin1")
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + body


def described(shape="(2,)", dtype="'<f4'"):
    return f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "magic|empty|EOF"),
        (b"not an array", "magic"),
        (member(described(), bytes(8), b"\x09\x00"), "magic|version"),
        (member(described(), bytes(8), b"\x02\x00"), r"must be of version 1.0 of .npy, received \(2, 0\)"),
        (member(described("(4294967296, 4294967296)")), r"'c/bias' must have shape \(2,\)"),
        (member(described(dtype="'|O'"), b"\x80\x04."), "must hold real numbers, received dtype object"),
        (member(described(dtype="'<U4'"), bytes(32)), "must hold real numbers"),
        (member(described(dtype="[('a', '<f4')]"), bytes(8)), "must hold real numbers"),
        (member("__import__('os').abort()\n"), "header"),
        (member("(" * 5000 + "\n"), "header"),
        (member("-" * 9000 + "1\n"), "header"),
        (member(described("(2,)" + " " * 20_000)), "header"),
        (member(described(), bytes(4)), "EOF|Failed to read all data|could only be|whole"),
        (member(described(), bytes(12)), "c/bias.npy must end with its array, received more"),
    ],
)
def test_hostile_members(tmp_path, content, message):
    path = tmp_path / "w.npz"
    model = network(1)
    model.save_weights(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["c/bias.npy"] = content
    with zipfile.ZipFile(path, "w") as archive:
        for name, each in members.items():
            archive.writestr(name, each)
    with pytest.raises(ValueError, match=message) as error:
        model.load_weights(path)
    assert str(error.value).startswith(f"load_weights: {path}")
    assert same_weights(model, network(1))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["c/bias.npy", "c/bias"])
def test_members_of_one_name_or_of_another_ending(tmp_path, name):
    path = tmp_path / "w.npz"
    model = network(1)
    model.save_weights(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, archive.read("c/bias.npy"))
    with pytest.raises(ValueError, match=r"must hold \.npy files of different names, received 'c/bias'"):
        model.load_weights(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_foreign_files(tmp_path, ending):
    path = tmp_path / f"w{ending}"
    for content in (b"hello", b"\x80\x04\x95pickle" * 10, b"\xff" * 64, b"PK\x05\x06" + b"\xff" * 18):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"^load_weights: {path} is not a whole"):
            network().load_weights(path)


def test_a_dtype_that_numpy_lacks(tmp_path):
    header = b'{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    model = Sequential([Input((1,)), Dense(1, name="a")])
    with pytest.raises(ValueError, match=r"^load_weights: .* it lacks"):
        model.load_weights(path)
    header = header.replace(b'"a"', b'"a/bias"').replace(b"[2]", b"[1]").replace(b"4]", b"2]")
    header = header[:-1] + b',"a/kernel":{"dtype":"F32","shape":[1,1],"data_offsets":[2,6]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(6))
    with pytest.raises(ValueError, match=r"^load_weights: "):
        model.load_weights(path)


def test_where_nothing_can_be_saved_or_loaded(tmp_path):
    model, unbuilt = network(), Sequential([Dense(1)], name="unbuilt")
    for name, call in (("save_weights", model.save_weights), ("load_weights", model.load_weights)):
        for path in ("w", "w.h5", "w.npy"):
            with pytest.raises(
                ValueError, match=rf"^{name}: filepath must end in .safetensors or .npz, received"
            ):
                call(path)
        with pytest.raises(
            TypeError, match=rf"^{name}: filepath must be a str, bytes or os.PathLike, received 3"
        ):
            call(3)
        with pytest.raises(
            ValueError, match=rf"^{name}: model 'unbuilt' \(Sequential\) must have been built"
        ):
            getattr(unbuilt, name)(tmp_path / "w.npz")
    with pytest.raises(FileNotFoundError, match=r"load_weights: filepath must .* not: '.*nothing\.npz'$"):
        model.load_weights(tmp_path / "nothing.npz")
    (tmp_path / "folder.npz").mkdir()
    for name, call in (("save_weights", model.save_weights), ("load_weights", model.load_weights)):
        with pytest.raises(ValueError, match=f"^{name}: .* must be a file, received something else"):
            call(tmp_path / "folder.npz")
