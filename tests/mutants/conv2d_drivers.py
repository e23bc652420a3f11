"""Mutants of the plans and drivers of convolution.

By file (below csrc/): what is broken, the text, its replacement, the tests that must notice.
"""

from __future__ import annotations

FORWARD = "test_conv2d.py::test_forward"
GRAD_X = "test_conv2d.py::test_gradient_of_x"
GRAD_KERNEL = "test_conv2d.py::test_gradient_of_kernel"
EXACT = "test_conv2d.py::test_integers_are_exact"
NON_FINITE = "test_conv2d.py::test_non_finite_pixels"
TRANSPOSE = "test_conv2d_transpose.py::test_forward"
TRANSPOSE_EXACT = "test_conv2d_transpose.py::test_integers_are_exact"
BANDS = "test_depthwise.py::test_bands_make_the_whole_image"
THREADS = "test_same_bits.py::test_threads_do_not_change_a_bit"
ADDEND = "test_prepared.py::test_addend"
DILATED = "test_depthwise.py::test_dilated_taps_at_the_edge"
BATCH = "test_same_bits.py::test_an_image_does_not_depend_on_its_batch"
LATE = "test_same_bits.py::test_a_kernel_packed_late_changes_no_bit"
OVER_BLOCKS = "test_winograd.py::test_auto_over_blocks"

MUTANTS = {
    "cpu/conv2d_direct_plan.cpp": [
        (
            "a tap that meets only the last input is dropped",
            "return lowest < axis.in &&",
            "return lowest < axis.in - 1 &&",
            FORWARD,
        ),
        (
            "a tap that meets only the first input is dropped",
            "(axis.out - 1) * axis.stride >= 0",
            "(axis.out - 1) * axis.stride > 0",
            FORWARD,
        ),
        ("dropped taps leave the first tap of the kernel", "axis.first_tap += axis.tap_stride;", "", FORWARD),
        ("dropped taps leave the origin", "axis.origin += axis.step;", "", FORWARD),
        (
            "padding is taken from the other end",
            "axis.stride, -axis.before,",
            "axis.stride, -axis.after,",
            FORWARD,
        ),
        (
            "forward ignores the dilation",
            "axis.window, axis.dilation, 0, 1, 0, 1",
            "axis.window, 1, 0, 1, 0, 1",
            FORWARD,
        ),
        (
            "taps of a phase ignore the dilation",
            "axis.stride / std::gcd(axis.stride, axis.dilation);\n  TapAxis",
            "axis.stride;\n  TapAxis",
            GRAD_X,
        ),
        (
            "a phase is dropped",
            "tap < std::min(axis.window, period)",
            "tap < std::min(axis.window, period) - 1",
            GRAD_X,
        ),
        (
            "the gradient of x keeps the order of taps",
            "taps.tap_stride = -period;",
            "taps.tap_stride = period;",
            GRAD_X,
        ),
        (
            "a phase starts from its first tap",
            "axis.before - last * axis.dilation",
            "axis.before - first * axis.dilation",
            GRAD_X,
        ),
        (
            "taps of a phase are neighbours",
            "taps.step = period * axis.dilation / axis.stride;",
            "taps.step = 1;",
            GRAD_X,
        ),
        (
            "a phase drops its last position",
            "ceil_div(axis.size - phase, axis.stride)",
            "axis.size / axis.stride",
            GRAD_X,
        ),
        (
            "a compact slab swaps stride and dilation",
            "i / axis.taps * axis.stride + i % axis.taps * axis.step",
            "i / axis.taps * axis.step + i % axis.taps * axis.stride",
            FORWARD,
        ),
        (
            "a compact slab swaps its pitches",
            "{block, axis.taps, 1, compact}",
            "{block, 1, axis.taps, compact}",
            FORWARD,
        ),
        (
            "padding behind the input is read",
            "position < axis.in ? position : -1",
            "position <= axis.in ? position : -1",
            FORWARD,
        ),
        (
            "a slab is one position short",
            "(axis.taps - 1) * axis.step + 1;",
            "(axis.taps - 1) * axis.step;",
            FORWARD,
        ),
        ("distant taps are merged", " && !(adjacent_taps && axis.step != 1)", "", FORWARD),
        (
            "rows of taps are columns",
            "r * slab_h.tap_pitch * slab_w.positions",
            "r * slab_h.tap_pitch",
            FORWARD,
        ),
        (
            "blocks of rows and columns are exchanged",
            "block % plan.block_columns * plan.slab_w.block",
            "block / plan.block_columns * plan.slab_w.block",
            FORWARD,
        ),
        (
            "the last block of a row is whole",
            "std::min(plan.slab_w.block, plan.w.out - tables.first_column)",
            "plan.slab_w.block",
            FORWARD,
        ),
        (
            "distant columns are one run",
            "last->column >= 0 && column == last->column + last->length",
            "last->column >= 0",
            FORWARD,
        ),
        (
            "strides of height and width are swapped",
            "i * plan.row_stride + j * plan.column_stride",
            "j * plan.row_stride + i * plan.column_stride",
            FORWARD,
        ),
        (
            "a phase takes the width's stride for the height",
            "i * plan.h.out_stride",
            "i * plan.w.out_stride",
            GRAD_X,
        ),
        (
            "columns before the image are read",
            "std::clamp<int64_t>(-start, 0, positions)",
            "std::clamp<int64_t>(-start - 1, 0, positions)",
            FORWARD,
        ),
        (
            "the image ends with its last column but one",
            "std::clamp(plan.w.in - start,",
            "std::clamp(plan.w.in - 1 - start,",
            FORWARD,
        ),
        ("a strided result counts as pointwise", "axis.out_stride == 1;", "true;", GRAD_X),
        ("a padded image counts as pointwise", " && axis.in == axis.out", "", FORWARD),
    ],
    "cpu/conv2d_problem.cpp": [
        ("rows of x have the height's length", "p.x_row = s.w.size", "p.x_row = s.h.size", FORWARD),
        (
            "rows of the kernel have the height's length",
            "p.kernel_row = s.w.window",
            "p.kernel_row = s.h.window",
            FORWARD,
        ),
        (
            "the gradient of x does not transpose the kernel",
            "std::swap(p.kernel_filter, p.kernel_channel);",
            "",
            GRAD_X,
        ),
        ("positions that no tap reaches are not filled", "if (all(h) && all(w)) return;", "return;", GRAD_X),
        ("rows that no tap reaches are not filled", "if (!h[row %", "if (false && !h[row %", GRAD_X),
        ("positions that no tap reaches lose the bias", "if (!bias) {", "if (true) {", TRANSPOSE),
    ],
    "cpu/conv2d_direct.cpp": [
        (
            "every image has the first one's addend",
            "epilogue.addend + y_block + filter",
            "epilogue.addend + filter",
            ADDEND,
        ),
        (
            "columns of the kernel are rows",
            "problem.w.tap_stride) * problem.kernel_column",
            "problem.w.tap_stride) * problem.kernel_row",
            FORWARD,
        ),
        (
            "every group packs the first kernel",
            "kernel + group * problem_.kernel_group +",
            "kernel +",
            FORWARD,
        ),
        (
            "every group reads the first channels",
            "problem_.x_image + task.group * problem_.channels;",
            "problem_.x_image;",
            FORWARD,
        ),
        (
            "every group writes the first filters",
            "task.image * problem_.y_image + task.group * problem_.filters +",
            "task.image * problem_.y_image +",
            FORWARD,
        ),
        (
            "every group adds the first bias",
            "epilogue.bias + task.group * problem_.filters + filter",
            "epilogue.bias + filter",
            FORWARD,
        ),
        ("every image reads the first", "x + task.image * problem_.x_image", "x", FORWARD),
        ("few pixels are always one block", "ceil_div(all, kLateBlocks)", "all", LATE),
        (
            "filters packed later begin with the group's first",
            "first_block * B * problem_.kernel_filter;",
            "0;",
            LATE,
        ),
        (
            "a block of channels overwrites those before",
            "b.accumulate = first > 0;",
            "b.accumulate = false;",
            FORWARD,
        ),
        (
            "a short block of channels counts as whole",
            "plan_.merged ? plan_.length : channels",
            "plan_.length",
            FORWARD,
        ),
        ("the last task is dropped", "tasks = blocks() * splits,", "tasks = blocks() * splits - 1,", FORWARD),
        (
            "the last turn ends before the tasks do",
            "parallel_for(threads_, ceil_div(tasks, at_once), [&]",
            "parallel_for(threads_, tasks / at_once, [&]",
            FORWARD,
        ),
        (
            "blocks of rows all begin with the first",
            "(h.out_offset + s.tables.first_row * h.out_stride)",
            "h.out_offset",
            FORWARD,
        ),
        (
            "blocks of columns all begin with the first",
            "(w.out_offset + s.tables.first_column * w.out_stride)",
            "w.out_offset",
            FORWARD,
        ),
        (
            "the last block of a row has as many columns as the others",
            "s.tables.columns == plan_.slab_w.block ? pixels_ : last_pixels_",
            "pixels_",
            FORWARD,
        ),
        (
            "threads have scratch for one",
            "return threads_ * one.bytes();",
            "return one.bytes();",
            THREADS,
        ),
        (
            "pixels that lie apart are fetched as one stretch",
            "s.ahead = carver.take<MemoryStretch>(plan_.slab_h.positions * plan_.slab_w.positions)",
            "s.ahead = carver.take<MemoryStretch>(plan_.slab_h.positions)",
            FORWARD,
        ),
        (
            "blocks of channels depend on the threads",
            ": kChannels,",
            ": kChannels / get_num_threads(),",
            THREADS,
        ),
        (
            "blocks of channels depend on the batch",
            ": kChannels,",
            ": kChannels / (problem.images + 1),",
            BATCH,
        ),
        (
            "padding is read in place",
            "contiguous && !meets_padding(p.h) && !meets_padding(p.w) &&",
            "contiguous &&",
            FORWARD,
        ),
        ("dilated columns are read in place", "plan.merged && p.w.step == 1 &&", "plan.merged &&", FORWARD),
        ("groups are read in place", "p.channels == p.x_column)", "p.channels > 0)", FORWARD),
        (
            "rows of taps read in place are not dilated",
            "r * problem.h.step * problem.x_row",
            "r * problem.x_row",
            FORWARD,
        ),
        (
            "what is read in place ignores where it begins",
            "(problem_.w.origin + s.tables.first_column * problem_.w.stride)",
            "(s.tables.first_column * problem_.w.stride)",
            GRAD_X,
        ),
    ],
    "cpu/conv2d_direct_kernel_gradient.cpp": [
        (
            "the last split is dropped",
            "split < splits_; ++split)",
            "split < splits_ - 1; ++split)",
            GRAD_KERNEL,
        ),
        (
            "groups of channels meet in the first",
            "index / filter_groups_ % channel_groups_ * plan_.channels",
            "0 * index",
            GRAD_KERNEL,
        ),
        (
            "groups of filters overlap",
            "index % filter_groups_ * filters_",
            "index % filter_groups_ * tile_.block_filters",
            GRAD_KERNEL,
        ),
        (
            "every block reads the first columns of grad",
            " + tables.first_column) * shape_.K",
            ") * shape_.K",
            GRAD_KERNEL,
        ),
        (
            "rows of grad are as long as the block's",
            "i % rows * grad_row",
            "i % rows * columns * shape_.K",
            GRAD_KERNEL,
        ),
        (
            "the images of a block read the first",
            "image_of(x, o, block.image + i)",
            "image_of(x, o, block.image)",
            GRAD_KERNEL,
        ),
        (
            "a last block has as many images as others",
            "std::min(block_images_, images_ - image)",
            "block_images_",
            GRAD_KERNEL,
        ),
        (
            "the images of a block have one gradient",
            "n * grad.image +",
            "",
            GRAD_KERNEL,
        ),
        (
            "rows are read in place where they meet padding",
            "!meets_padding(h) && ",
            "",
            GRAD_KERNEL,
        ),
        (
            "columns are read in place where they meet padding",
            " && !meets_padding(w)",
            "",
            GRAD_KERNEL,
        ),
        (
            "taps in place ignore the dilation of rows",
            "r * h.step * shape.w.size",
            "r * shape.w.size",
            GRAD_KERNEL,
        ),
        (
            "what is read in place ignores the stride",
            "return out * axis.stride + axis.origin;",
            "return out + axis.origin;",
            GRAD_KERNEL,
        ),
        (
            "taps that only meet padding are not zeroed",
            "std::fill(grad_kernel, grad_kernel + shape_.kernel_size(), T{0});",
            "{}",
            GRAD_KERNEL,
        ),
        (
            "rows of taps that only meet padding are not zeroed",
            "plan_.h.taps != shape_.h.window ||",
            "",
            GRAD_KERNEL,
        ),
        (
            "an empty batch leaves the sums as they were",
            "if (begin == end) return std::fill",
            "if (false) return std::fill",
            GRAD_KERNEL,
        ),
        (
            "a block overwrites the sums of those before",
            "b.accumulate = index > begin;",
            "b.accumulate = false;",
            GRAD_KERNEL,
        ),
        (
            "what is read in place is read as if it were packed",
            "return {grad_image, grad_row, shape_.K};",
            "return {grad_image, grad_row, B};",
            GRAD_KERNEL,
        ),
        (
            "sums in place are as far apart as others",
            "sums_in_place_ ? shape_.K : b.blocks",
            "b.blocks",
            GRAD_KERNEL,
        ),
        ("dropped taps move those behind them", "plan_.w.first_tap + s)", "s)", GRAD_KERNEL),
        ("splits depend on the threads", "kTasks / owners()", "4 * get_num_threads() / owners()", THREADS),
    ],
    "cpu/conv2d_few_channels.cpp": [
        (
            "the last row of taps is dropped",
            "= live.last - live.first;",
            "= live.last - live.first - 1;",
            GRAD_X,
        ),
        (
            "the stride of rows is ignored",
            "live_taps(phase->taps, output)",
            "live_taps(phase->taps, position)",
            GRAD_X,
        ),
        (
            "rows of taps on padding are not skipped",
            "phase->panels + live.first",
            "phase->panels + 0",
            GRAD_X,
        ),
        (
            "all phases share the panels of the first",
            "+ group * group_size_ + phase.panels;",
            "+ group * group_size_;",
            GRAD_X,
        ),
        ("the bias is missing", "bias ? bias[c] : T{0}", "T{0}", TRANSPOSE),
        ("the dilation is ignored", "x += w.dilation * shape_.C", "x += shape_.C", GRAD_X),
        ("taps on padding are not skipped", "x[i] += t[begin * channels + i]", "x[i] += t[i]", GRAD_X),
        ("a wide row reads its first columns again", "grad_row + first * shape_.K +", "grad_row +", GRAD_X),
        (
            "every group adds to the first channels",
            "x_row + group * shape_.group_channels());",
            "x_row);",
            GRAD_X,
        ),
        (
            "every group reads the first filters of grad",
            "first * shape_.K + group * shape_.group_filters()",
            "first * shape_.K",
            GRAD_X,
        ),
        (
            "blocks of lanes all hold the first",
            "source.panel_stride = panel_size(phase);",
            "source.panel_stride = 0;",
            GRAD_X,
        ),
    ],
    "cpu/conv2d_depthwise.cpp": [
        (
            "merged pixels share the kernel of the first",
            "std::copy(packed, packed + channels_, to)",
            "std::copy(packed, packed + channels_ - 1, to)",
            FORWARD,
        ),
        ("every tap is packed from the first", "kernel + tap * problem_.kernel_column", "kernel", GRAD_X),
        ("groups are packed from the first", "g * problem_.kernel_group + f", "f", GRAD_X),
        (
            "the gradient of x of groups reads the kernel in place",
            " && (problem_.filters == 1 || problem_.kernel_filter == 1)",
            "",
            GRAD_X,
        ),
        (
            "every block of channels adds the first bias",
            "biases ? biases + t.first",
            "biases ? biases",
            THREADS,
        ),
        ("every band is that of the first rows", "rows_[t.band].data()", "rows_[0].data()", BANDS),
    ],
    "cpu/conv2d_depthwise_plan.cpp": [
        (
            "depthwise is chosen for two filters a channel",
            "group != shape.group_channels() || ",
            "",
            GRAD_X,
        ),
        ("lanes are left over", "shape.K % lanes == 0", "true", FORWARD),
        ("what no tap reaches is left", "if (!axis.reaches_all())", "if (false)", GRAD_X),
        ("a remainder of merged pixels is dropped", "count %= width;", "count = 0;", FORWARD),
        ("outputs that lack a tap are cut as if there were one", "next == first + 1 && ", "", GRAD_X),
        ("the first output is cut, but not left out", "parts[whole].cut_first = true;", "", FORWARD),
        (
            "the last rows of a band are dropped",
            "first_from(results.last)}",
            "first_from(results.last) - 1}",
            FORWARD,
        ),
        (
            "a dilated span is read from its first result on",
            "cut = std::min(span.tap_step, span.source_step)",
            "cut = span.tap_step",
            DILATED,
        ),
        ("whole results go on to the edge", "axis.in - 1 - axis.origin", "axis.in - axis.origin", FORWARD),
    ],
    "cpu/conv2d_depthwise_kernel_gradient.cpp": [
        (
            "every block of channels reads the first of grad",
            "shape_.h.out * y_row_ + part.first;\n      block.sums",
            "shape_.h.out * y_row_;\n      block.sums",
            GRAD_KERNEL,
        ),
        (
            "the last split is dropped",
            "split < splits_; ++split)",
            "split < splits_ - 1; ++split)",
            GRAD_KERNEL,
        ),
        ("a split drops its last band", "band < end; ++band", "band < end - 1; ++band", BANDS),
        ("merged pixels are not added", "pixel < width_; ++pixel", "pixel < 1; ++pixel", GRAD_KERNEL),
        (
            "splits depend on the threads",
            "kSplitPixels, 1, kSplits)",
            "kSplitPixels, 1, get_num_threads())",
            THREADS,
        ),
        ("merged sums lie where the result does", "splits_ == 1 && width_ == 1", "splits_ == 1", GRAD_KERNEL),
    ],
    "cpu/conv2d_reference.cpp": [
        ("the first row of taps is dropped", "r = s.h.first_tap(p); r", "r = s.h.first_tap(p) + 1; r", EXACT),
        ("the bias is missing", "if (epilogue.bias) sum += epilogue.bias[k];", "", EXACT),
        ("ReLU turns NaN into zero", "epilogue.relu && sum <= 0", "epilogue.relu && !(sum > 0)", NON_FINITE),
        (
            "every group reads the first channels",
            "first_channel = k / s.group_filters() * s.group_channels();",
            "first_channel = 0;",
            EXACT,
        ),
        ("the gradient of x ignores the stride", " && reach % axis.stride == 0", "", EXACT),
        ("the gradient of x loses the bias", "bias ? sum + bias[c] : sum", "sum", TRANSPOSE_EXACT),
        (
            "every group reads the first filters of grad",
            "first_filter = group * s.group_filters();",
            "first_filter = 0;",
            EXACT,
        ),
        (
            "the gradient of the kernel reads padding",
            "if (t < s.w.first_tap(q) || t >= s.w.last_tap(q)) continue;",
            "",
            EXACT,
        ),
    ],
    "cpu/conv2d_algorithms.cpp": [
        ("few channels go over blocks", ">= products + 96;", ">= products;", OVER_BLOCKS),
        ("few filters go over blocks", "channels >= 12 && s.K >= 32 &&", "channels >= 12 &&", OVER_BLOCKS),
        ("few tiles go over blocks", "&& ceil_div(s.w.out, outputs) >= 4;", ";", OVER_BLOCKS),
        (
            "an algorithm that can't add forgets the addend",
            "if (!addend || algorithm_.adds)",
            "if (true)",
            ADDEND,
        ),
        (
            "ReLU comes before the addend, too",
            "{epilogue.bias, nullptr, false});",
            "{epilogue.bias, nullptr, epilogue.relu});",
            ADDEND,
        ),
        (
            "a rule is asked about shapes that its algorithm can't do",
            "if (row.can_do(shape) &&\n"
            "          (wanted == Algorithm::kAuto ? row.is_preferred(shape) : wanted",
            "if ((wanted != Algorithm::kAuto || row.is_preferred(shape)) && row.can_do(shape) &&\n"
            "          (wanted == Algorithm::kAuto ? true : wanted",
            GRAD_KERNEL,
        ),
        (
            "an algorithm that can't do the shape is replaced",
            "return {algorithm, false};",
            "return {algorithm, true};",
            "test_conv2d.py::test_an_algorithm_that_cannot_do_the_shape_is_a_value_error",
        ),
        (
            "KONV_ALGORITHM does not fall back",
            'return {parse(op, "the environment variable KONV_ALGORITHM", steered), true};',
            'return {parse(op, "the environment variable KONV_ALGORITHM", steered), false};',
            "test_conv2d.py::test_the_environment_steers_auto",
        ),
        (
            "KONV_ALGORITHM is ignored",
            "if (!steered || !*steered) return",
            "return",
            "test_conv2d.py::test_the_environment_steers_auto",
        ),
    ],
    "cpu/rows.cpp": [
        (
            "the last block of rows is dropped",
            "k.column_sums(partial, blocks, columns, sums);",
            "k.column_sums(partial, blocks - (blocks > 1), columns, sums);",
            "test_dense.py::test_gradient",
        ),
        (
            "blocks of rows depend on the threads",
            "kBlockElements / columns)",
            "kBlockElements / columns / get_num_threads())",
            THREADS,
        ),
    ],
    "cpu/conv2d_grouped_plan.cpp": [
        ("lanes get the first channel of their group", "* channels + d;", "* channels;", FORWARD),
        ("lanes get the first group", "(block * lanes + i) / filters * channels", "0", FORWARD),
        (
            "the slab lacks the last row",
            "elements.last / slab_row()}",
            "elements.last / slab_row() - 1}",
            FORWARD,
        ),
    ],
    "cpu/conv2d_grouped.cpp": [
        (
            "the gradient of x keeps the kernel",
            "run(input_gradient_problem(s), ",
            "run(forward_problem(s), ",
            GRAD_X,
        ),
        (
            "every block of lanes adds the first bias",
            "epilogue.bias ? epilogue.bias + first",
            "epilogue.bias ? epilogue.bias",
            FORWARD,
        ),
    ],
    "cpu/conv2d_grouped_kernel_gradient.cpp": [
        (
            "the last split is dropped",
            "split < splits_; ++split)",
            "split < splits_ - 1; ++split)",
            GRAD_KERNEL,
        ),
        (
            "channels of a group share their sums",
            "plan_.slab_plane(), shape_.K}",
            "plan_.slab_plane(), 0}",
            GRAD_KERNEL,
        ),
        (
            "splits depend on the threads",
            "kTasks / plan_.lane_blocks, shape",
            "int64_t{get_num_threads()}, shape",
            THREADS,
        ),
    ],
}
