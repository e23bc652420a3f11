"""The table that `summary` prints, of chains and of graphs."""

from __future__ import annotations

from konv import Model, Sequential
from konv.layers import Conv2D, Dense, Flatten, Input, Layer


def test_summary(capsys):
    model = Sequential([Input((8, 8, 1)), Conv2D(4, 3, name="c"), Flatten(name="f")], name="net")
    model.add(Dense(10, name="d", trainable=False))
    model.summary()
    assert capsys.readouterr().out == (
        "Model net, inputs (None, 8, 8, 1)\n"
        "-------------------------------------------------------\n"
        "Layer        Output shape     Parameters  Multiply-adds\n"
        "-------------------------------------------------------\n"
        "c (Conv2D)   (None, 6, 6, 4)          40          1,296\n"
        "f (Flatten)  (None, 144)               0              0\n"
        "d (Dense)    (None, 10)            1,450          1,440\n"
        "-------------------------------------------------------\n"
        "Parameters: 1,490 (40 trainable, 1,450 not)\n"
        "Multiply-adds for one image: 2,736\n"
    )
    unknown = Sequential([Input((None, None, 1)), Conv2D(4, 3)])
    unknown.summary()
    assert "Multiply-adds for one image: ?" in capsys.readouterr().out


class Sum(Layer):
    several_inputs = True

    def compute_output_shape(self, input_shape):
        return input_shape[0]


def test_summary_of_a_graph(capsys):
    x = Input((4,), name="x")
    shared = Dense(4, name="d")
    once = shared(x)
    both = Sum(name="sum")([once, shared(once)])
    inner = Sequential([Dense(3, name="i")], name="inner")
    Model(x, [inner(both), both], name="net").summary()
    rule = "-" * 72
    assert capsys.readouterr().out == (
        "Model net, inputs (None, 4)\n"
        f"{rule}\n"
        "Layer               Output shape  Parameters  Multiply-adds  Inputs\n"
        f"{rule}\n"
        "x (InputLayer)      (None, 4)              0              0\n"
        "d (Dense)           (None, 4)             20             16  x\n"
        "d (Dense)           (None, 4)         shared             16  d\n"
        "sum (Sum)           (None, 4)              0              0  d, d call 2\n"
        "inner (Sequential)  (None, 3)             15             12  sum\n"
        f"{rule}\n"
        "Parameters: 35 (35 trainable, 0 not)\n"
        "Multiply-adds for one image: 44\n"
    )


def test_summary_of_a_chain_shows_its_input(capsys):
    x = Input((4,), name="x")
    Model(x, Dense(3, name="d")(x), name="net").summary()
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:6] == [
        "Layer           Output shape  Parameters  Multiply-adds",
        "-" * 55,
        "x (InputLayer)  (None, 4)              0              0",
        "d (Dense)       (None, 3)             15             12",
    ]


def test_summary_of_several_inputs_and_outputs(capsys):
    a, b = Input((4,), name="a"), Input((4,), name="b")
    inner = Model([a, b], [Sum(name="sum")([a, b]), a], name="inner")
    c, d = Input((4,), name="c"), Input((4,), name="d")
    first, second = inner([c, d])
    Model([c, d], Sum(name="all")([second, first]), name="net").summary()
    out = capsys.readouterr().out
    assert "Model net, inputs (None, 4), (None, 4)\n" in out
    assert "inner (Model)   (None, 4), (None, 4)           0              0  c, d\n" in out
    assert (
        "all (Sum)       (None, 4)                      0              0  inner output 1, inner output 0\n"
        in out
    )
