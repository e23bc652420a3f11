"""Mutants of the kernels of convolution.

By file (below csrc/): what is broken, the text, its replacement, the tests that must notice.
"""

from __future__ import annotations

FORWARD = "test_conv2d.py::test_forward"
RELU = "test_conv2d.py::test_forward_with_relu"
GRAD_X = "test_conv2d.py::test_gradient_of_x"
GRAD_KERNEL = "test_conv2d.py::test_gradient_of_kernel"
GRAD_BIAS = "test_conv2d.py::test_gradient_of_bias"
NON_FINITE = "test_conv2d.py::test_non_finite_pixels"

MUTANTS = {
    "cpu/kernels/simd.hpp": [
        ("a copy skips its tail", "for (; i < count; ++i) to[i] = from[i];", "", FORWARD),
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
    "cpu/kernels/conv2d_direct.cpp": [
        ("rows of padding are not zeroed", "zero_elements(slab_row, s.positions * s.pitch);", "", FORWARD),
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
            "zero_elements(to + s.lanes, B - s.lanes);",
            "zero_elements(to + s.lanes - 1, B - s.lanes + 1);",
            FORWARD,
        ),
        (
            "a transposed panel swaps its strides",
            "from[e * s.element_stride + lane * s.lane_stride]",
            "from[e * s.lane_stride + lane * s.element_stride]",
            GRAD_X,
        ),
        (
            "forward drops the last tap",
            "t < b.taps; ++t) {\n    const T* a[Rows];",
            "t < b.taps - 1; ++t) {\n    const T* a[Rows];",
            FORWARD,
        ),
        (
            "forward drops a tap's last channel",
            "l < b.length; ++l, w += B",
            "l < b.length - 1; ++l, w += B",
            FORWARD,
        ),
        (
            "forward reads every tap at the first",
            "b.slab + b.pixel[first_pixel + i] + b.tap[t];",
            "b.slab + b.pixel[first_pixel + i];",
            FORWARD,
        ),
        (
            "forward has the wrong sign",
            "acc[i][j] += a[i][l] * wv[j]",
            "acc[i][j] -= a[i][l] * wv[j]",
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
            "block < b.last_block",
            "block < b.last_block - 1",
            FORWARD,
        ),
        (
            "forward skips the second vector of filters",
            "if (k < b.filters)",
            "if (k < b.filters && j == 0)",
            FORWARD,
        ),
        (
            "forward skips the tail of the filters",
            "    store_partial(y, sum, count);",
            "    (void)y;",
            FORWARD,
        ),
        (
            "forward stores the tail as a whole vector",
            "const bool whole = count >= kLanes<T>;",
            "const bool whole = true;",
            FORWARD,
        ),
        ("the bias is missing", "if (b.bias) sum +=", "if (false) sum +=", FORWARD),
        ("every vector of filters adds the first bias", "load(b.bias + k) :", "load(b.bias) :", FORWARD),
        (
            "the sums of earlier channels are overwritten",
            "if (b.accumulate) sum =",
            "if (false) sum =",
            FORWARD,
        ),
        ("every block of channels adds the bias", "if (b.finish) {", "{", FORWARD),
        ("ReLU is missing", "if (b.relu) sum = relu<T>(sum);", "", RELU),
        (
            "the gradient of the kernel drops the last run",
            "r < b.run_count; ++r",
            "r < b.run_count - 1; ++r",
            GRAD_KERNEL,
        ),
        (
            "the gradient of the kernel drops the last pixel of a run",
            "p < b.runs[r].pixels;",
            "p < b.runs[r].pixels - 1;",
            GRAD_KERNEL,
        ),
        (
            "the gradient of the kernel ignores the stride",
            "a += b.pixel_stride",
            "a += b.length",
            GRAD_KERNEL,
        ),
        (
            "the gradient of the kernel ignores the tap",
            "b.slab + b.tap[t] + begin",
            "b.slab + begin",
            GRAD_KERNEL,
        ),
        (
            "the gradient of the kernel reads the first row of grad",
            "grad + b.runs[r].grad_row * B",
            "grad",
            GRAD_KERNEL,
        ),
        (
            "the gradient of the kernel has the wrong sign",
            "acc[i][j] += a[i] * gv[j]",
            "acc[i][j] -= a[i] * gv[j]",
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
            "* columns + block * B}",
            "* columns}",
            GRAD_KERNEL,
        ),
    ],
    "cpu/kernels/conv2d_depthwise.cpp": [
        ("forward drops the last tap", "t < b.taps; ++t", "t < b.taps - 1; ++t", FORWARD),
        ("forward has the wrong sign", "acc[i] += load(a + b.pixel", "acc[i] -= load(a + b.pixel", FORWARD),
        (
            "forward skips the last pixels",
            "p < b.pixels; p += kTilePixels",
            "p + kTilePixels <= b.pixels; p += kTilePixels",
            FORWARD,
        ),
        (
            "forward skips the tail of the channels",
            "        store_partial(y, sum, count);",
            "        (void)y;",
            FORWARD,
        ),
        (
            "forward stores the tail as a whole vector",
            "        store_partial(y, sum, count);",
            "        store(y, sum);",
            FORWARD,
        ),
        ("the bias is missing", "if (b.bias) sum +=", "if (false) sum +=", FORWARD),
        ("ReLU is missing", "if (b.relu) sum = relu<T>(sum);", "", RELU),
        (
            "the gradient of the kernel drops taps beyond nine",
            "t < b.taps; t += kTileTaps",
            "t < kTileTaps; t += kTileTaps",
            GRAD_KERNEL,
        ),
        (
            "the gradient of the kernel drops the last pixel",
            "p < b.pixels; ++p",
            "p < b.pixels - 1; ++p",
            GRAD_KERNEL,
        ),
        (
            "the gradient of the kernel reads grad of the first channels",
            "b.grad + b.grad_pixel[p] + c",
            "b.grad + b.grad_pixel[p]",
            GRAD_KERNEL,
        ),
        (
            "the gradient of the kernel forgets earlier pixels",
            "b.accumulate ? load(sum) + acc[i] : acc[i]",
            "acc[i]",
            GRAD_KERNEL,
        ),
    ],
    "cpu/kernels/rows.cpp": [
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
