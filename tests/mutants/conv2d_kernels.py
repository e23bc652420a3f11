"""Mutants of the kernels of convolution.

By file (below csrc/): what is broken, the text, its replacement, the tests that must notice.
"""

from __future__ import annotations

FORWARD = "test_conv2d.py::test_forward"
RELU = "test_conv2d.py::test_forward_with_relu"
ADDEND = "test_prepared.py::test_addend"
GRAD_X = "test_conv2d.py::test_gradient_of_x"
STREAMED = "test_streaming.py::test_direct_convolutions"
GRAD_KERNEL = "test_conv2d.py::test_gradient_of_kernel"
INFINITE = "test_depthwise.py::test_an_infinite_pixel_spoils_only_the_taps_that_read_it"
GRAD_BIAS = "test_conv2d.py::test_gradient_of_bias"
NON_FINITE = "test_conv2d.py::test_non_finite_pixels"

MUTANTS = {
    "cpu/kernels/simd.hpp": [
        (
            "a copy skips its tail",
            "if (i < count) store_partial(to + i,",
            "if (false) store_partial(to + i,",
            FORWARD,
        ),
        (
            "a tile loses its last row",
            "body.template run<Most>()",
            "body.template run<(Most > 1 ? Most - 1 : 1)>()",
            FORWARD,
        ),
        (
            "a partial load drops its last element",
            "__builtin_memcpy(&v, p, count * sizeof(T));",
            "__builtin_memcpy(&v, p, (count - 1) * sizeof(T));",
            FORWARD,
        ),
        (
            "ReLU turns NaN into zero",
            "return v <= 0 ? Vector<T>{} : v;",
            "return v > 0 ? v : Vector<T>{};",
            NON_FINITE,
        ),
    ],
    "cpu/kernels/fetch_ahead.hpp": [
        (
            "stretches are fetched in no turns",
            "turns == 0 || lines",
            "lines",
            FORWARD,
        ),
    ],
    "cpu/kernels/conv2d_direct.cpp": [
        (
            "rows of padding are not zeroed",
            "zero_elements(slab_row, s.positions * s.pitch);",
            "",
            GRAD_KERNEL,
        ),
        ("columns of padding are not zeroed", "zero_elements(to, run.length * s.pitch);", "", FORWARD),
        (
            "a run of columns lands one position early",
            "slab_row + run.begin * s.pitch",
            "slab_row + (run.begin - (run.begin > 0)) * s.pitch",
            FORWARD,
        ),
        (
            "the last pixel of a contiguous run is not copied",
            "(run.length - 1) * s.pitch + s.channels)",
            "(run.length - 1) * s.pitch)",
            FORWARD,
        ),
        (
            "the last pixel of a strided run is not copied",
            "j < run.length; ++j, to += s.pitch",
            "j < run.length - 1; ++j, to += s.pitch",
            FORWARD,
        ),
        ("pixels are read at the pitch of the slab", "from += s.column_stride)", "from += s.pitch)", FORWARD),
        (
            "a packed panel's last lane is zeroed",
            "zero_elements(block + s.lanes - lane, B - (s.lanes - lane));",
            "zero_elements(block + s.lanes - lane - 1, B - (s.lanes - lane) + 1);",
            FORWARD,
        ),
        (
            "a transposed panel packs its first lines only",
            "first < s.elements; first += kLine<T>",
            "first < kLine<T>; first += kLine<T>",
            GRAD_X,
        ),
        (
            "a transposed panel swaps its strides",
            "to[e * B + lane] = row[e * s.element_stride]",
            "to[e * B + lane] = from[(first_lane + lane) * s.element_stride + e * s.lane_stride]",
            GRAD_X,
        ),
        (
            "forward drops the last tap",
            "t < b.taps; ++t) {\n    const T* const x",
            "t < b.taps - 1; ++t) {\n    const T* const x",
            FORWARD,
        ),
        (
            "forward drops a tap's last channel",
            "add_products<T, Vectors, Rows>(acc, x, pixel, w, b.length);",
            "add_products<T, Vectors, Rows>(acc, x, pixel, w, b.length - 1) + B;",
            FORWARD,
        ),
        (
            "forward reads every tap at the first",
            "x = b.slab + b.tap[t];",
            "x = b.slab + b.tap[0];",
            FORWARD,
        ),
        (
            "a tile that prefetches loses its last channels",
            "minimum(kLine<T>, b.length - l));",
            "l + kLine<T> > b.length ? 0 : kLine<T>);",
            FORWARD,
        ),
        (
            "forward has the wrong sign",
            "acc[i][j] += x[at[i]] * wv[j]",
            "acc[i][j] -= x[at[i]] * wv[j]",
            FORWARD,
        ),
        (
            "forward skips the last tile of pixels",
            "tile < tiles; ++tile) {\n      const int64_t begin = b.pixels",
            "tile < tiles - 1; ++tile) {\n      const int64_t begin = b.pixels",
            FORWARD,
        ),
        (
            "forward skips the last block of filters",
            "block < b.blocks; ++block)\n    for (int64_t tile = 0",
            "block < b.blocks - 1; ++block)\n    for (int64_t tile = 0",
            FORWARD,
        ),
        (
            "forward skips the second vector of filters",
            "int) { store(y + at, sum); }",
            "int j) { if (j == 0) store(y + at, sum); }",
            FORWARD,
        ),
        (
            "forward skips the tail of the filters",
            "if (count[j] > 0) store_partial(y + at, sum, count[j]);",
            "(void)at, (void)sum, (void)j;",
            FORWARD,
        ),
        (
            "forward stores the tail as a whole vector",
            "const bool whole = count[Vectors - 1] == kLanes<T>;",
            "const bool whole = true;",
            FORWARD,
        ),
        ("the bias is missing", "if (b.finish && b.bias)", "if (false)", FORWARD),
        (
            "every vector of filters adds the first bias",
            "load_partial(b.bias + k + j * kLanes<T>, count[j])",
            "load_partial(b.bias, count[j])",
            FORWARD,
        ),
        (
            "the sums of earlier channels are overwritten",
            "if (b.accumulate) add(y);",
            "",
            FORWARD,
        ),
        ("every block of channels adds the bias", "if (b.finish && b.bias)", "if (b.bias)", FORWARD),
        ("ReLU is missing", "if (b.finish && b.relu)", "if (false)", RELU),
        (
            "streamed tiles are not written",
            "int) { stream(y + at, sum); }",
            "int) { (void)at, (void)sum; }",
            STREAMED,
        ),
        ("the addend is missing", "if (b.finish && b.addend) add(b.addend + k);", "", ADDEND),
        (
            "every block of channels adds the addend",
            "if (b.finish && b.addend) add(",
            "if (b.addend) add(",
            ADDEND,
        ),
        (
            "the addend's tail is missing",
            "if (count[j] > 0) sum = load_partial(from",
            "if (false) sum = load_partial(from",
            ADDEND,
        ),
        ("every block of channels ends in ReLU", "if (b.finish && b.relu)", "if (b.relu)", RELU),
        (
            "the gradient of the kernel drops the last run",
            "last = b.runs + b.run_count;",
            "last = b.runs + b.run_count - 1;",
            GRAD_KERNEL,
        ),
        (
            "the gradient of the kernel drops the last pixel of a run",
            "end = begin + run->pixels * pixel_stride;",
            "end = begin + (run->pixels - 1) * pixel_stride;",
            GRAD_KERNEL,
        ),
        (
            "the gradient of the kernel ignores the stride",
            "p += pixel_stride, g += grad_pixel",
            "p += b.length, g += grad_pixel",
            GRAD_KERNEL,
        ),
        (
            "the gradient of the kernel ignores the tap",
            "b.slab + b.tap[row / b.length] + row",
            "b.slab + row",
            GRAD_KERNEL,
        ),
        (
            "the gradient of the kernel reads the first row of grad",
            "grad + run->grad_offset",
            "grad",
            GRAD_KERNEL,
        ),
        (
            "the gradient of the kernel has the wrong sign",
            "acc[i][j] += (Taps ? a[i][p]",
            "acc[i][j] -= (Taps ? a[i][p]",
            GRAD_KERNEL,
        ),
        (
            "the gradient of the kernel forgets earlier pixels",
            "b.accumulate ? load(sum) + acc[i][j] : acc[i][j]",
            "acc[i][j]",
            GRAD_KERNEL,
        ),
        (
            "the gradient of the kernel writes all filters to the first",
            "first * b.sums_row + block * B;",
            "first * b.sums_row;",
            GRAD_KERNEL,
        ),
    ],
    "cpu/kernels/depthwise_lanes.hpp": [
        ("a cut span loses its last result", "if (span.cut_last) {", "if (false) {", FORWARD),
        (
            "what a wide tile leaves of a row is dropped",
            "for (; first < count; ++first) body.template run<1>(first);",
            "",
            FORWARD,
        ),
        (
            "lanes read the first channel of their group",
            "group_lane + static_cast<Index>(k)",
            "group_lane",
            FORWARD,
        ),
        ("every lane reads the first group", "group_lane[i] =", "group_lane[i] = 0 *", FORWARD),
        ("all lanes read the first channel", "broadcast(p[k])", "broadcast(p[0])", FORWARD),
        ("every vector reads the first group", "c / groups.size * groups.sources : c", "0 : c", FORWARD),
        ("ReLU is missing", "if (block.relu)", "if (false)", RELU),
        (
            "what two chunks share is added twice",
            "for (int64_t i = fresh; i < lanes; ++i)",
            "for (int64_t i = 0; i < lanes; ++i)",
            GRAD_KERNEL,
        ),
    ],
    "cpu/kernels/depthwise_forward.hpp": [
        ("any span drops its last tap", "s < columns.taps; ++s", "s < columns.taps - 1; ++s", FORWARD),
        (
            "stride two reads as stride one",
            "return forward_3x3<T, How, 2>",
            "return forward_3x3<T, How, 1>",
            FORWARD,
        ),
        (
            "the last tile of a row is dropped",
            "for (int64_t tile = 0; tile < tiles;",
            "for (int64_t tile = 0; tile < tiles - 1;",
            FORWARD,
        ),
        (
            "the tail of the channels begins behind them",
            "const int64_t c = minimum(i, channels - Lanes);",
            "const int64_t c = i;",
            FORWARD,
        ),
        ("the bias is missing", "block.bias ? load_chunk<Lanes>(block.bias + c) : V{}", "V{}", FORWARD),
        ("only the first source is read", "k < block.groups.sources; ++k", "k < 1; ++k", FORWARD),
    ],
    "cpu/kernels/depthwise_forward_3x3.hpp": [
        ("3x3 taps have the wrong sign", "+= pixel * weights", "-= pixel * weights", FORWARD),
        ("a tap before the image is read", "(i == 0 && cut_first) || ", "", FORWARD),
        (
            "every tile is cut",
            "columns.cut_first && first == 0",
            "columns.cut_first",
            FORWARD,
        ),
        ("a row before the image is read", "!(i == 0 && rows.cut_first) && ", "", FORWARD),
        ("a row behind the image is read", "!(i == last && rows.cut_last)", "true", FORWARD),
        ("the 3x3 bias is missing", "block.bias ? load(block.bias + c) : V{}", "V{}", FORWARD),
        (
            "later sources have the weights of the first",
            "if (block.groups.sources > 1) load_weights",
            "if (false) load_weights",
            FORWARD,
        ),
    ],
    "cpu/kernels/depthwise_kernel_gradient.hpp": [
        (
            "taps beyond nine are dropped",
            "t < taps; t += kTileTaps",
            "t < kTileTaps; t += kTileTaps",
            GRAD_KERNEL,
        ),
        (
            "the last column is dropped",
            "j < columns.count; ++j, x +=",
            "j < columns.count - 1; ++j, x +=",
            GRAD_KERNEL,
        ),
        ("the last row is dropped", "i < rows.count; ++i, row +=", "i < 1; ++i, row +=", GRAD_KERNEL),
        ("only the first source is summed", "k < block.groups.sources; ++k", "k < 1; ++k", GRAD_KERNEL),
    ],
    "cpu/kernels/depthwise_kernel_gradient_3x3.hpp": [
        (
            "a 3x3 kernel reads a tap behind the image",
            "(i == 0 && tile.cut_first) || (i == kLast && tile.cut_last)",
            "i == 0 && tile.cut_first",
            GRAD_KERNEL,
        ),
        (
            "a 3x3 kernel is cut at the end of every tile",
            "columns.cut_last && first + Columns == columns.count",
            "columns.cut_last",
            GRAD_KERNEL,
        ),
        (
            "a 3x3 kernel adds the row behind the image",
            " && !(i == last && rows.cut_last)",
            "",
            GRAD_KERNEL,
        ),
        (
            "the second row's middle taps are dropped",
            "if (Stride == 1 && i >= 1 && i <= rows.count) add_row<2>",
            "if (Stride == 1 && i > 1 && i <= rows.count) add_row<2>",
            GRAD_KERNEL,
        ),
        (
            "infinite pixels meet gradients that don't exist",
            "if (Stride == 1 && i >= 2 && i < rows.count)",
            "if (Stride == 1)",
            INFINITE,
        ),
        ("only the first 3x3 source is summed", "k < block.groups.sources; ++k", "k < 1; ++k", GRAD_KERNEL),
    ],
    "cpu/kernels/conv2d_depthwise.cpp": [
        (
            "lanes come from the vector at the first of them, behind the pixel's end too",
            "from[i] = static_cast<Index>(index[i] - base)",
            "from[i] = static_cast<Index>(index[i] - index[0])",
            FORWARD,
        ),
    ],
    "cpu/kernels/rows.cpp": [
        (
            "rows that fill no group side by side are dropped",
            "if (left == 0) return;",
            "return;",
            GRAD_BIAS,
        ),
        (
            "the last row is dropped",
            "row < rows; ++row, x += columns",
            "row + 1 < rows; ++row, x += columns",
            GRAD_BIAS,
        ),
        (
            "the tail of the columns is not stored",
            "store_partial(sums + c, acc, columns - c);",
            "",
            GRAD_BIAS,
        ),
        ("the tail reads the first columns", "x + row * columns + c,", "x + row * columns,", GRAD_BIAS),
        ("every vector sums the first", "load(x + v * kLanes<T>)", "load(x)", GRAD_BIAS),
    ],
}
