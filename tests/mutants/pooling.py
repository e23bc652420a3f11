"""Mutants of pooling.

By file (below csrc/): what is broken, the text, its replacement, the tests that must notice.
"""

from __future__ import annotations

MAX = "test_pooling.py::test_max_of_ties_and_non_finite_values"
MAX_BACKWARD = "test_pooling.py::test_max_backward_of_integers_is_exact"
AVG = "test_pooling.py::test_avg"
AVG_BACKWARD = "test_pooling.py::test_avg_backward"
SUM = "test_pooling.py::test_sum"
SUM_BACKWARD = "test_pooling.py::test_sum_backward"
EMPTY_WINDOW = "test_pooling.py::test_window_without_pixels"
RELU = "test_relu.py::test_relu"

MUTANTS = {
    "cpu/kernels/pool2d_gather.hpp": [
        ("the last of equal maxima wins", "(value <= best) |", "(value < best) |", MAX),
        ("a NaN never wins", "(value <= best) |", "(~(value > best)) |", MAX),
        ("a NaN loses against what follows", " | (best != best)", "", MAX),
        (
            "the maximum of no pixels is zero",
            "return Chunk<T, Lanes>{} - ",
            "return Chunk<T, Lanes>{} * ",
            EMPTY_WINDOW,
        ),
        (
            "the position in a window without pixels is left as it was",
            "store_chunk(argmax + to, Chunk<Index, Lanes>{});",
            "",
            EMPTY_WINDOW,
        ),
        (
            "quarters of streamed positions change places",
            "_mm512_maskz_inserti32x4(-1, all, reinterpret_cast<__m128i>(quarters[2]), 2)",
            "_mm512_maskz_inserti32x4(-1, all, reinterpret_cast<__m128i>(quarters[1]), 2)",
            "test_streaming.py::test_pooling",
        ),
        ("the grid loses its last column", "j < columns; ++j", "j < columns - 1; ++j", SUM),
        ("the grid loses its last row", "i < run.rows; ++i", "i < run.rows - 1; ++i", MAX),
        ("sums have the wrong sign", "into[v] += load_chunk", "into[v] -= load_chunk", SUM),
        (
            "a pixel of tiles takes the gradient of its neighbours",
            "where[v] == here ?",
            "where[v] <= here ?",
            MAX_BACKWARD,
        ),
        ("a pixel takes the gradient of its neighbours", ") == here ?", ") <= here ?", MAX_BACKWARD),
    ],
    "cpu/kernels/pool2d.cpp": [
        (
            "rows of a window are read from its first row",
            "r.row.first + i * r.row_step.source",
            "r.row.first",
            SUM,
        ),
        ("rows of a window are added to shared channels", "r.channels % kLanes<T> == 0;", "true;", SUM),
        ("each row of a window ends the mean", "i == parts - 1};", "true};", AVG),
        ("argmax is off by the padding", "r.row.tap * r.window_columns + run.tap", "run.tap", MAX),
        (
            "argmax swaps height and width",
            "r.row_step.tap * r.window_columns",
            "r.row_step.tap * r.row.count",
            MAX,
        ),
        ("the dilation is ignored", "(run.spread ? 1 : r.column_step.source)", "1", SUM),
        ("averages divide by the height only", "r.row.divisor * run.divisor", "r.row.divisor", AVG),
        (
            "wide pixels run over the end of the result",
            "left < 0 ? 0 : minimum(run.pixels, left / grid.result_step + 1)",
            "run.pixels",
            SUM,
        ),
    ],
    "cpu/kernels/chunks.hpp": [
        (
            "the tail of the channels is skipped",
            "if (c < channels) body.template run<Lanes, 1>(channels - Lanes);",
            "",
            SUM,
        ),
        (
            "the tail of the elements is skipped",
            "body(count - kLanes<T>, WholeVector<T>{});",
            "return;",
            RELU,
        ),
        (
            "fewer elements than a vector lose the last",
            "PartialVector<T>{count}",
            "PartialVector<T>{count - 1}",
            RELU,
        ),
    ],
    "cpu/pool2d_spans.cpp": [
        (
            "count_include_pad counts beyond the padded image",
            "axis.last_padded_tap(output)",
            "axis.window",
            AVG,
        ),
        ("averages count padding", "axis.last_tap(output) - axis.first_tap(output)", "axis.window", AVG),
        (
            "argmax counts from the first real pixel",
            "last - first, first, divisor",
            "last - first, 0, divisor",
            MAX,
        ),
        (
            "a window too far away covers the pixel",
            "ceil_div(reach - last_tap_reach",
            "floor_div(reach - last_tap_reach",
            SUM_BACKWARD,
        ),
        (
            "the last output gives no gradient",
            "std::min(axis_.out - 1, reach",
            "std::min(axis_.out - 2, reach",
            SUM_BACKWARD,
        ),
        ("a pixel between dilated taps is covered", "if (reach % gcd_ != 0) return none;", "", SUM_BACKWARD),
        (
            "outputs that cover a pixel start at the wrong one",
            "inverse_(inverse_modulo(tap_step_, output_step_))",
            "inverse_(1)",
            SUM_BACKWARD,
        ),
        (
            "taps of a pixel ignore the dilation",
            "(reach - first * axis_.stride) / axis_.dilation",
            "reach - first * axis_.stride",
            MAX_BACKWARD,
        ),
    ],
    "cpu/pool2d_spans.hpp": [
        (
            "tiles may be dilated",
            "axis_.stride == axis_.window && axis_.dilation == 1",
            "axis_.stride == axis_.window",
            SUM_BACKWARD,
        ),
        (
            "taps rise with the outputs that cover a pixel",
            "{output_step_, -tap_step_}",
            "{output_step_, tap_step_}",
            MAX_BACKWARD,
        ),
    ],
    "cpu/pool2d.cpp": [
        (
            "rows of the source are as long as the result's",
            "row.source_row = w.sources() * g.C;",
            "row.source_row = w.results() * g.C;",
            SUM,
        ),
        (
            "every image reads the first",
            "row.row.first += i / h.results() * h.sources()",
            "row.row.first += 0",
            SUM,
        ),
        (
            "the last columns of a wide row are too many",
            "std::min(tasks.columns, w.results() - first_column)",
            "tasks.columns",
            SUM_BACKWARD,
        ),
        (
            "a wide row reads its first columns again",
            "make_runs(w, part.first_column,",
            "make_runs(w, 0,",
            SUM_BACKWARD,
        ),
        (
            "windows that overlap in height are spread",
            "h.most() == 1 && w.tiles()",
            "w.tiles()",
            SUM_BACKWARD,
        ),
        (
            "every block of channels reads the first",
            "row.source = g.source + part.first_channel;",
            "row.source = g.source;",
            SUM,
        ),
        (
            "count_include_pad is the other way round",
            "return count_include_pad ?",
            "return !count_include_pad ?",
            AVG,
        ),
        (
            "overlap along one axis is overlooked",
            "windows_overlap(shape.h) ||",
            "windows_overlap(shape.h) &&",
            AVG_BACKWARD,
        ),
        (
            "a task divides too few gradients",
            "end = std::max(end, end_of_sources(h, i));",
            "end = std::max(end, h.span(i).first + 1);",
            AVG_BACKWARD,
        ),
        (
            "threads divide gradients into one buffer",
            "divided + thread * room",
            "divided",
            "test_same_bits.py::test_threads_do_not_change_a_bit",
        ),
        (
            "divided gradients are counted from the image's first row",
            "- g.first_source_row;",
            ";",
            AVG_BACKWARD,
        ),
    ],
    "bindings/bind_pool2d.cpp": [
        (
            "argmax of 256 positions is int32",
            "positions - 1 <= UINT8_MAX",
            "positions <= UINT8_MAX",
            "test_pooling.py::test_max",
        ),
        (
            "max_pool2d_backward takes an argmax of any shape",
            'require_dims(op, "argmax", dims_of(argmax), to_dims(shape.y_dims()));',
            "",
            "test_sizes.py::test_a_shape_that_does_not_fit_is_a_value_error",
        ),
    ],
}
