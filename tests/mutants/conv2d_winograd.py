"""Mutants of Winograd's transforms, kernels and drivers.

By file (below csrc/): what is broken, the text, its replacement, the tests that must notice.
"""

from __future__ import annotations

FORWARD = "test_winograd.py::test_forward_is_exact_on_integers"
GRAD_X = "test_winograd.py::test_gradient_of_x_is_exact_on_integers"
RELU = "test_winograd.py::test_relu_comes_last"
ADDEND = "test_winograd.py::test_an_addend_comes_between_bias_and_relu"
THREADS = "test_winograd.py::test_threads_do_not_change_a_bit"
BATCH = "test_winograd.py::test_an_image_does_not_depend_on_its_batch"
STREAMED = "test_winograd.py::test_streamed_results_have_the_same_bits"
STREAMED_KERNELS = "test_winograd.py::test_streamed_kernels_are_exact"
ERROR = "test_winograd_error.py::test_error"
GRAD_KERNEL = "test_winograd_kernel_gradient.py::test_integers"
GRAD_KERNEL_THREADS = "test_winograd_kernel_gradient.py::test_threads_do_not_change_a_bit"

MUTANTS = {
    "cpu/kernels/winograd_transforms.hpp": [
        ("data: a wrong 4", "a = x[4] - x[2] * 4.0f", "a = x[4] - x[2] * 2.0f", GRAD_KERNEL),
        ("data: another wrong 4", "b = x[3] - x[1] * 4.0f", "b = x[3] - x[1] * 5.0f", GRAD_KERNEL),
        ("data: a lost 2", "d = (x[3] - x[1]) * 2.0f;", "d = x[3] - x[1];", GRAD_KERNEL),
        (
            "data: a wrong 5 at 0",
            "y[0] = x[0] * 4.0f - x[2] * 5.0f",
            "y[0] = x[0] * 4.0f - x[2] * 4.0f",
            GRAD_KERNEL,
        ),
        (
            "data: a wrong 5 at infinity",
            "x[1] * 4.0f - x[3] * 5.0f",
            "x[1] * 4.0f - x[3] * 4.0f",
            GRAD_KERNEL,
        ),
        (
            "data: points 1 and -1 exchanged",
            "y[1] = a + b;\n    y[2] = a - b;",
            "y[1] = a - b;\n    y[2] = a + b;",
            GRAD_KERNEL,
        ),
        ("data: -2 is 2", "y[4] = c - d;", "y[4] = c + d;", GRAD_KERNEL),
        ("gradient: a lost 8", "odd2 += y[3] * 8.0f;", "odd2 += y[3] * 4.0f;", GRAD_KERNEL),
        ("gradient: a lost 4", "even2 += y[2] * 4.0f;", "even2 += y[2] * 2.0f;", GRAD_KERNEL),
        ("gradient: a lost 2", "odd2 = y[1] * 2.0f;", "odd2 = y[1];", GRAD_KERNEL),
        ("gradient: infinity reads the first", "x[5] = y[kIn - 1];", "x[5] = y[0];", GRAD_KERNEL),
        ("gradient: -2 is 2", "x[4] = even2 - odd2;\n", "x[4] = even2 + odd2;\n", GRAD_KERNEL),
        (
            "kernel's gradient: a wrong sixth",
            "a = (x[1] + x[2]) * (-1.0f / 6)",
            "a = (x[1] + x[2]) * (-1.0f / 5)",
            GRAD_KERNEL,
        ),
        (
            "kernel's gradient: a wrong sign",
            "b = (x[2] - x[1]) * (1.0f / 6)",
            "b = (x[1] - x[2]) * (1.0f / 6)",
            GRAD_KERNEL,
        ),
        (
            "kernel's gradient: a wrong 24th",
            "c = (x[3] + x[4]) * (1.0f / 24)",
            "c = (x[3] + x[4]) * (1.0f / 12)",
            GRAD_KERNEL,
        ),
        (
            "kernel's gradient: a wrong 12th",
            "d = (x[3] - x[4]) * (1.0f / 12)",
            "d = (x[3] - x[4]) * (1.0f / 24)",
            GRAD_KERNEL,
        ),
        (
            "kernel's gradient: infinity is lost",
            "w[2] = a + c * 4.0f + x[5];",
            "w[2] = a + c * 4.0f;",
            GRAD_KERNEL,
        ),
        ("kernel's gradient: a lost 4 of 5x5", "w[3] = b + d * 4.0f;", "w[3] = b + d;", GRAD_KERNEL),
        ("kernel's gradient: a lost 16", "w[4] = a + c * 16.0f", "w[4] = a + c * 4.0f", GRAD_KERNEL),
        ("adjoint of data: a lost 4", "x[0] = y[0] * 4.0f;", "x[0] = y[0];", GRAD_X),
        ("adjoint of data: a lost 4 of 1", "x[1] = (a + y[5]) * 4.0f", "x[1] = (a + y[5]) * 2.0f", GRAD_X),
        ("adjoint of data: a lost 5", "x[2] = y[0] * -5.0f", "x[2] = y[0] * -4.0f", GRAD_X),
        ("adjoint of data: a wrong sign", "x[3] = y[5] * -5.0f - a", "x[3] = y[5] * -5.0f + a", GRAD_X),
        ("adjoint of data: 0 is lost", "x[4] = y[0] + b + d;", "x[4] = b + d;", GRAD_X),
        ("adjoint of data: infinity is lost", "x[5] = y[5];", "x[5] = y[4];", GRAD_X),
        ("output: a lost 8", "y[3] = b + d * 8.0f", "y[3] = b + d * 4.0f", FORWARD),
        ("output: a lost 4", "y[2] = a + c * 4.0f;", "y[2] = a + c * 2.0f;", FORWARD),
        ("output: a lost 2", "y[1] = b + d * 2.0f;\n", "y[1] = b + d;\n", FORWARD),
        ("output: infinity is lost", "y[1] = b + d * 2.0f + x[5];", "y[1] = b + d * 2.0f;", FORWARD),
        ("kernel: a lost quarter", "x[0] = w[0] * 0.25f;", "x[0] = w[0] * 0.5f;", FORWARD),
        (
            "kernel: a wrong sixth",
            "x[1] = (even + odd) * (-1.0f / 6);",
            "x[1] = (even + odd) * (-1.0f / 5);",
            FORWARD,
        ),
        (
            "kernel: a sixth that is almost right",
            "x[2] = (even - odd) * (-1.0f / 6);",
            "x[2] = (even - odd) * -0.16667f;",
            f"{FORWARD} {ERROR}",
        ),
        (
            "kernel: a wrong 24th",
            "x[4] = (even2 - odd2) * (1.0f / 24);",
            "x[4] = (even2 - odd2) * (1.0f / 12);",
            FORWARD,
        ),
        ("kernel: a lost 16", "even2 += w[4] * 16.0f;", "even2 += w[4] * 8.0f;", FORWARD),
        ("kernel: a lost tap", "x[5] = w[R - 1];", "x[5] = w[R - 2];", FORWARD),
        (
            "the second pass of a transform stores its transpose",
            "store(row, column, to[column]);",
            "store(column, row, to[column]);",
            GRAD_KERNEL,
        ),
    ],
    "cpu/kernels/conv2d_winograd_kernel_gradient.cpp": [
        (
            "rows behind the image are read",
            "s.row + kIn <= s.rows &&",
            "s.row + kIn <= s.rows + 1 &&",
            GRAD_KERNEL,
        ),
        ("columns before the image are read", "s.column >= 0 &&", "s.column >= -1 &&", GRAD_KERNEL),
        ("a column behind the image is read", "x >= s.columns)", "x > s.columns)", GRAD_KERNEL),
        (
            "the last row of the image is taken for padding",
            "y >= s.rows ||",
            "y >= s.rows - 1 ||",
            GRAD_KERNEL,
        ),
        (
            "whole vectors are stored behind the last filter",
            "store_partial(tap, v, count);",
            "store(tap, v);",
            GRAD_KERNEL,
        ),
        ("the last tile is not added", "t < p.tiles; ++t", "t < p.tiles - 1; ++t", GRAD_KERNEL),
        (
            "earlier blocks of tiles are forgotten",
            "p.accumulate ? load(sum) + acc[i][j] : acc[i][j]",
            "acc[i][j]",
            GRAD_KERNEL,
        ),
        (
            "the second vector of filters is left out",
            "s.filters - k > kLaneCount",
            "s.filters - k > kPanelWidth",
            GRAD_KERNEL,
        ),
        (
            "channels of a panel's tail are left out",
            "minimum(kPanelWidth, s.channels - c);",
            "minimum(kPanelWidth, s.channels - c) - 1;",
            GRAD_KERNEL,
        ),
        (
            "every panel of channels is the first",
            "s.data + point * s.data_point + c / kPanelWidth * s.data_panel",
            "s.data + point * s.data_point",
            GRAD_KERNEL,
        ),
    ],
    "cpu/conv2d_winograd_kernel_gradient.cpp": [
        (
            "threads cut the sum",
            "while (splits_ < kSplits &&",
            "while (splits_ < get_num_threads() &&",
            GRAD_KERNEL_THREADS,
        ),
        (
            "without tiles nothing is written",
            "std::fill(grad_kernel, grad_kernel + shape_.kernel_size(), 0.0f);",
            "",
            GRAD_KERNEL,
        ),
        ("threads share a scratch", "copies = fused_ ? threads_ : 1;", "copies = 1;", GRAD_KERNEL_THREADS),
        (
            "blocks share their sums",
            "(cuts_ > 1 && !fused_ ? channel_blocks_ * filter_blocks_ : threads_)",
            "threads_",
            GRAD_KERNEL,
        ),
        (
            "a split's first block adds to what lay there",
            "sums, block > 0);",
            "sums, true);",
            GRAD_KERNEL,
        ),
        ("a chunk forgets those before", "sums, chunk > 0);", "sums, false);", GRAD_KERNEL),
        ("the first chunk is the result", "if (chunk + 1 == cuts_)", "if (chunk == 0)", GRAD_KERNEL),
        ("the padding above is ignored", "row - shape_.h.before", "row", GRAD_KERNEL),
        (
            "a group reads the channels of the first",
            "shape_.C + group * channels_,",
            "shape_.C,",
            GRAD_KERNEL,
        ),
        ("a group reads the gradient of the first", "shape_.K + group * filters_,", "shape_.K,", GRAD_KERNEL),
        (
            "a group is written over the first",
            "group * filters_ + first_filter, channels_",
            "first_filter, channels_",
            GRAD_KERNEL,
        ),
        (
            "the rows of tiles run on into the next image",
            "tile / tile_columns_ % tile_rows_ * outputs_",
            "tile / tile_columns_ * outputs_",
            GRAD_KERNEL,
        ),
        (
            "the third split is lost",
            "int64_t split = 2; split < splits_",
            "int64_t split = 3; split < splits_",
            GRAD_KERNEL,
        ),
        (
            "tiles that share a task with a chunk's last are lost",
            "ceil_div(end - begin, kTaskTiles)",
            "(end - begin) / kTaskTiles",
            GRAD_KERNEL,
        ),
    ],
    "cpu/kernels/conv2d_winograd.cpp": [
        (
            "the kernel's tail of filters is not zeroed",
            "i < k.rows && j < k.columns && f < k.filters;",
            "i < k.rows && j < k.columns;",
            FORWARD,
        ),
        (
            "taps behind the last are read",
            "const bool there = i < k.rows && j < k.columns;\n#pragma",
            "const bool there = true;\n#pragma",
            GRAD_X,
        ),
        ("blocks of taps are not transposed", "          transpose(tap);\n", "", GRAD_X),
        (
            "a channel behind the last is not left out",
            "minimum(kLane, k.channels - c); ++lane",
            "minimum(kLane, k.channels - c) - 1; ++lane",
            GRAD_X,
        ),
        (
            "columns before the image are read",
            "first_column(clamp(-patch.column, size))",
            "first_column(clamp(-patch.column - 1, size))",
            FORWARD,
        ),
        (
            "the last row of the image is left out",
            "last_row(clamp(rows - patch.row, size))",
            "last_row(clamp(rows - patch.row - 1, size))",
            FORWARD,
        ),
        (
            "a patch that ends behind the image counts as whole",
            "last_row == size && last_column == size",
            "last_row >= size - 1 && last_column == size",
            FORWARD,
        ),
        (
            "a product loses its last channel",
            "c < channels; ++c, panel += kBlock",
            "c < channels - 1; ++c, panel += kBlock",
            FORWARD,
        ),
        (
            "earlier blocks of channels are forgotten",
            "accumulate ? load(sum) + acc[i][j] : acc[i][j]",
            "acc[i][j]",
            FORWARD,
        ),
        (
            "a bias is added to no tail",
            "if (r.bias) v += bias;",
            "if (r.bias && count >= kLane) v += bias;",
            FORWARD,
        ),
        (
            "ReLU comes before the bias",
            "if (r.bias) v += bias;\n        if (r.addend)",
            "if (r.relu) v = relu<float>(v);\n        if (r.bias) v += bias;\n        if (r.addend)",
            RELU,
        ),
        ("the addend is missing", "if (r.addend) v +=", "if (false) v +=", ADDEND),
        ("every pixel has the first one's addend", "r.addend + (to - r.y)", "r.addend + k", ADDEND),
        ("tiles of the adjoint don't add up", "store(to, load(to) + v);", "store(to, v);", GRAD_X),
        (
            "edges of the adjoint don't add up",
            "Add ? load_lanes(to, count) + v : finish(v, to)",
            "finish(v, to)",
            GRAD_X,
        ),
        (
            "a tail of filters is written whole",
            "store_partial(to, value, count);",
            "store(to, value);",
            FORWARD,
        ),
        ("pixels behind the image are written", "if (!inside.has(i, j)) return;", "", FORWARD),
        ("streamed results miss ReLU", "stream(to, finish(v, to));", "stream(to, v);", STREAMED),
        (
            "a streamed kernel is stored a vector off",
            "            stream(point, v);",
            "            stream(point + kLane, v);",
            STREAMED_KERNELS,
        ),
    ],
    "cpu/conv2d_winograd.cpp": [
        ("every panel has the first one's addend", "epilogue.addend + panel * B", "epilogue.addend", ADDEND),
        (
            "every group has the first one's addend",
            "if (epilogue.addend) epilogue.addend +=",
            "if (false) epilogue.addend +=",
            ADDEND,
        ),
        (
            "a block of channels forgets those before",
            "p.accumulate = c > 0;",
            "p.accumulate = false;",
            FORWARD,
        ),
        (
            "a later pass keeps the last channels' points",
            "panel == first_panel || problem_.channels > kChannels",
            "panel == first_panel",
            FORWARD,
        ),
        (
            "threads cut the sum over channels",
            "std::min(kChannels, problem_.channels - c);",
            "std::min(kChannels / threads_, problem_.channels - c);",
            THREADS,
        ),
        (
            "the last task is dropped",
            "parallel_for(threads_, tasks, [&]",
            "parallel_for(threads_, tasks - 1, [&]",
            FORWARD,
        ),
        (
            "threads share a scratch",
            "static_cast<char*>(scratch) + thread * one.bytes()",
            "static_cast<char*>(scratch)",
            THREADS,
        ),
        (
            "the adjoint of an image is shared out by tiles",
            "plan_.adjoint ? problem.images : problem.images * plan_.tiles();",
            "problem.images * plan_.tiles();",
            GRAD_X,
        ),
        ("a group reads the channels of the first", "x + group * problem_.channels + c", "x + c", FORWARD),
        (
            "a group reads the kernel of the first",
            "packed + group * group_size() + panel * panel_size() + c * B",
            "packed + panel * panel_size() + c * B",
            FORWARD,
        ),
        (
            "every pass has the bias of the first",
            "epilogue.bias ? epilogue.bias + panel * B : nullptr",
            "epilogue.bias",
            FORWARD,
        ),
        (
            "the adjoint adds to what lay there",
            "fill(epilogue.bias, y + image * problem_.y_image, first, last);",
            "",
            GRAD_X,
        ),
        ("every point has the first's kernel", "            p.panel += point_size();\n", "", FORWARD),
        (
            "tiles run on into the next image's",
            "row += tile / plan_.w.tiles % plan_.h.tiles *",
            "row += tile / plan_.w.tiles *",
            FORWARD,
        ),
        (
            "the taps of a gradient of x are not rotated",
            "plan_.h.first_tap * problem_.kernel_row",
            "0 * problem_.kernel_row",
            GRAD_X,
        ),
        (
            "the last channels of the kernel are not transformed",
            "ceil_div(problem_.channels, kPackChannels)",
            "problem_.channels / kPackChannels",
            FORWARD,
        ),
    ],
    "cpu/conv2d_winograd_plan.cpp": [
        (
            "the last tile of an axis is lost",
            "{ceil_div(axis.out, outputs), outputs,",
            "{axis.out / outputs, outputs,",
            FORWARD,
        ),
        ("padding is ignored", "outputs, axis.origin, 0,", "outputs, 0, 0,", FORWARD),
        ("the adjoint keeps the order of taps", "-axis.tap_stride}", "axis.tap_stride}", GRAD_X),
        ("the adjoint's tiles lie a pixel off", "-axis.origin - last,", "-axis.origin - last + 1,", GRAD_X),
        ("the forward pass may take the adjoint", "plan.adjoint = gradient && 5", "plan.adjoint = 5", RELU),
    ],
}
