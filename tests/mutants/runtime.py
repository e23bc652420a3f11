"""Mutants of shapes, memory, threads and bindings.

By file (below csrc/): what is broken, the text, its replacement, the tests that must notice.
"""

from __future__ import annotations

THREADS = "test_same_bits.py::test_threads_do_not_change_a_bit"
CONV_SHAPE = "test_conv2d.py::test_output_shape"
TRANSPOSE_SHAPE = "test_conv2d_transpose.py::test_output_shape"
POOL_SHAPE = "test_pooling.py::test_output_shape"
MESSAGES = "test_messages.py::test_the_message"
BEYOND_MEMORY = "test_sizes.py::test_a_result_beyond_memory_is_a_memory_error_at_once"
WRONG_SHAPES = "test_sizes.py::test_a_shape_that_does_not_fit_is_a_value_error"

MUTANTS = {
    "core/window.cpp": [
        (
            "the output size is rounded up",
            "w.out = floor_div(room, stride) + 1;",
            "w.out = ceil_div(room, stride) + 1;",
            CONV_SHAPE,
        ),
        (
            "ceil_mode rounds down",
            "w.out = ceil_div(room, stride) + 1;",
            "w.out = floor_div(room, stride) + 1;",
            POOL_SHAPE,
        ),
        (
            "ceil_mode keeps a window that starts behind the input",
            "last_start >= size + w.before)",
            "last_start > size + w.before)",
            POOL_SHAPE,
        ),
        (
            "same pads the odd pixel at the top left",
            "w.before = total / 2;",
            "w.before = (total + 1) / 2;",
            "test_conv2d.py::test_forward",
        ),
        (
            "same drops the last output",
            "w.out = ceil_div(size, stride);",
            "w.out = std::max<int64_t>(1, size / stride);",
            CONV_SHAPE,
        ),
        (
            "the pads of height and width are exchanged",
            "w.before = padding.explicit_pads[axis == Axis::kHeight ? 0 : 2];",
            "w.before = padding.explicit_pads[axis == Axis::kHeight ? 2 : 0];",
            CONV_SHAPE,
        ),
        (
            "a negative pad behind the input passes",
            "if (w.before < 0 || w.after < 0)",
            "if (w.before < 0)",
            "test_sizes.py::test_negative_padding_is_a_value_error",
        ),
        (
            "a stride of zero passes",
            'require_positive(op, "strides", axis, stride);',
            "",
            "test_sizes.py::test_a_size_below_the_least_is_a_value_error",
        ),
        ("an output size below one passes", "if (w.out < 1)", "if (w.out < 0)", WRONG_SHAPES),
    ],
    "core/window.hpp": [
        (
            "the first tap on the input is rounded down",
            "clamp_tap(ceil_div(before - o * stride, dilation))",
            "clamp_tap((before - o * stride) / dilation)",
            "test_conv2d.py::test_gradient_of_x",
        ),
    ],
    "core/arithmetic.hpp": [
        (
            "an overflow passes",
            "if (__builtin_mul_overflow(a, b, &product)) fail_overflow(op, what);",
            "if (__builtin_mul_overflow(a, b, &product)) (void)op, (void)what;",
            BEYOND_MEMORY,
        ),
    ],
    "core/conv2d_shape.cpp": [
        (
            "valid transposed ignores a stride beyond the kernel",
            "extent > stride ? extent : stride",
            "extent",
            TRANSPOSE_SHAPE,
        ),
        (
            "same transposed with output_padding ignores the kernel",
            "checked_add(op, what, extent % 2, extra)",
            "extra",
            TRANSPOSE_SHAPE,
        ),
        (
            "output_padding is ignored",
            "const int64_t extra = output_padding ? *output_padding : 0;",
            "const int64_t extra = 0;",
            TRANSPOSE_SHAPE,
        ),
        (
            "transposed adds the padding",
            "return full - checked_add(op, what, before, after);",
            "return full + checked_add(op, what, before, after);",
            TRANSPOSE_SHAPE,
        ),
        ("an output_padding of the stride passes", "if (w.out != in)", "if (false)", MESSAGES),
        (
            "groups that don't divide the channels pass",
            "if (C % groups != 0)",
            "if (false)",
            MESSAGES,
        ),
        (
            "a bias of another length passes",
            "if (bias.size() != 1 || bias[0] != filters)",
            "if (bias.size() != 1)",
            WRONG_SHAPES,
        ),
        (
            "a gradient of another shape passes",
            "if (received != expected)",
            "if (received.size() != expected.size())",
            WRONG_SHAPES,
        ),
    ],
    "cpu/buffer_pool.cpp": [
        (
            "more is cached than the cap",
            "bytes_cached_ + capacity <= cap_",
            "cap_ > 0",
            "test_good_guest.py::test_no_more_is_cached_than_the_cap",
        ),
        (
            "memory that was not had counts as taken",
            "        untouched_ -= capacity;\n        throw;",
            "        throw;",
            "test_good_guest.py::test_memory_that_was_not_had_counts_as_free",
        ),
        (
            "a cached buffer is handed out twice",
            "it->second.pop_back();",
            "",
            "test_conv2d.py::test_integers_are_exact",
        ),
        (
            "clearing forgets to count",
            "bytes_cached_ = 0;\n  }",
            "}",
            "test_show_config.py::test_clear_cache_empties_the_pool",
        ),
        (
            "a result is smaller than asked for",
            "capacity_for(guarded ? bytes + kGuard : bytes)",
            "capacity_for(bytes / 2)",
            "test_conv2d.py::test_forward",
        ),
    ],
    "cpu/memory_limit.cpp": [
        (
            "more memory than there is passes",
            "if (bytes > available)\n    throw",
            "if (false)\n    throw",
            BEYOND_MEMORY,
        ),
    ],
    "cpu/threads.cpp": [
        (
            "a list of numbers of threads is none",
            "(*end == '\\0' || *end == ',')",
            "*end == '\\0'",
            "test_good_guest.py::test_num_threads_from_the_environment",
        ),
        (
            "a forked child runs in parallel",
            "if (forked_child) return 1;",
            "",
            "test_same_bits.py::test_forked_child_does_not_differ",
        ),
        (
            "more threads than the most pass",
            "threads < 1 || threads > kMaxThreads",
            "threads < 1",
            "test_messages.py::test_the_message_for_a_number_of_threads",
        ),
    ],
    "cpu/threads.hpp": [
        (
            "a parallel loop drops its last task",
            "task < tasks; ++task) body(task, omp_get_thread_num())",
            "task < tasks - 1; ++task) body(task, omp_get_thread_num())",
            THREADS,
        ),
        (
            "a thread drops its last own task",
            "if (own >= end - first) break;",
            "if (own >= end - first - 1) break;",
            "test_erf.py::test_threads_do_not_change_a_bit",
        ),
        (
            "the last task of an owner who never comes is left to it",
            "&& owner < present",
            "&& present > 0",
            "test_same_bits.py::test_new_processes_do_not_differ",
        ),
        (
            "own tasks down begin behind the last",
            "first + i : end - 1 - i;",
            "first + i : end - i;",
            "test_batch_norm.py::test_inference",
        ),
    ],
    "cpu/isa.cpp": [
        (
            "the choice of an ISA is forgotten",
            "quoted(name));\n  active = table;",
            "quoted(name));",
            "test_show_config.py::test_isa_follows_the_setting",
        ),
    ],
    "bindings/array.hpp": [
        (
            "arrays that are not contiguous are misread",
            "if ((array.flags() & kPlain) != kPlain)",
            "if (false)",
            "test_backend.py::test_the_kernels_refuse_what_they_would_misread",
        ),
    ],
    "bindings/bind_prepared.cpp": [
        (
            "an addend of another shape is misread",
            "if (addend) require_dims",
            "if (false) require_dims",
            "test_prepared.py::test_messages",
        ),
    ],
    "bindings/bind_conv2d.cpp": [
        (
            "transposed exchanges x and grad in the gradient of the kernel",
            "cpu::conv2d_kernel_gradient(op, shape, gs, xs, choice)",
            "cpu::conv2d_kernel_gradient(op, shape, xs, gs, choice)",
            "test_conv2d_transpose.py::test_gradient_of_kernel",
        ),
        (
            "dense ignores ReLU",
            "shape.conv, xs, ks, bs, relu,",
            "shape.conv, xs, ks, bs, false && relu,",
            "test_dense.py::test_forward_with_relu",
        ),
        (
            "dense ignores the bias",
            "shape.conv, xs, ks, bs, relu,",
            "shape.conv, xs, ks, true ? nullptr : bs, relu,",
            "test_dense.py::test_forward",
        ),
    ],
}
