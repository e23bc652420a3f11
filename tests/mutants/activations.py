"""Mutants of activations.

By file (below csrc/): what is broken, the text, its replacement, the tests that must notice.
"""

from __future__ import annotations

ERRORS = "test_exponential.py::test_errors"
VALUES = "test_activations.py::test_values"
GRADIENTS = "test_activations.py::test_gradients"
LIMITS = "test_activations.py::test_limits_and_nan"
RELU_BACKWARD = "test_relu.py::test_relu_backward"
ZEROS = "test_exponential.py::test_signs_of_zero"
EXPONENTIALS = "test_softmax.py::test_exponentials"
SOFTMAX = "test_softmax.py::test_softmax"

MUTANTS = {
    "cpu/kernels/activations.cpp": [
        (
            "the gradient passes where y is zero",
            "return y <= 0 ? V{} : grad;",
            "return y < 0 ? V{} : grad;",
            RELU_BACKWARD,
        ),
        (
            "the gradient is stopped where y is NaN",
            "return y <= 0 ? V{} : grad;",
            "return y > 0 ? grad : V{};",
            RELU_BACKWARD,
        ),
        ("ReLU is missing", "return relu<T>(x);", "return x;", "test_relu.py::test_relu"),
        ("ReLU6 has no upper end", "clamp<T>(relu<T>(x), 0, 6)", "relu<T>(x)", VALUES),
        ("tanh of zero is negative", "(0 - m) / (2 + m)", "-m / (2 + m)", ZEROS),
        ("silu of -infinity is NaN", "share == 0 ? share : x * share", "x * share", LIMITS),
        (
            "the slope of silu is NaN at infinity",
            "clamp<T>(x, -kLargest, kLargest)",
            "x",
            LIMITS,
        ),
        ("the slope of silu is sigmoid's", "share + finite * share * (1 - share)", "share", GRADIENTS),
        ("tanh's slope is 1 - y", "1 - y * y", "1 - y", GRADIENTS),
    ],
    "cpu/kernels/exponential.hpp": [
        (
            "the series is a term short",
            "constexpr int kTerms = 7,",
            "constexpr int kTerms = 6,",
            ERRORS,
        ),
        ("the rest of ln 2 is left out", " - n * Of::kLog2Low", "", ERRORS),
        (
            "the series is a term short in float64",
            "constexpr int kTerms = 13,",
            "constexpr int kTerms = 12,",
            EXPONENTIALS,
        ),
        ("e^x ends too early", "kLeast = -104,", "kLeast = -95,", EXPONENTIALS),
        ("e^x ends too early in float64", "kLeast = -746,", "kLeast = -720,", EXPONENTIALS),
        (
            "2^n is one factor",
            "const auto half = e.biased >> 1;",
            "const auto half = e.biased - Of::kBias;",
            EXPONENTIALS,
        ),
        ("e^x overflows too early", "kMost = 89;", "kMost = 87;", ERRORS),
        ("e^x - 1 ends too early", "kLeastOfLessOne = -18;", "kLeastOfLessOne = -14;", ERRORS),
    ],
    "cpu/kernels/softmax.cpp": [
        (
            "lanes behind the row are summed",
            "if (count < kLanes<T>) e = only_first<T>(e, count, T{0});",
            "",
            SOFTMAX,
        ),
        (
            "rows that no vector is aligned to are streamed",
            "!is_aligned(b.y) || b.columns % kLanes<T> != 0",
            "!is_aligned(b.y)",
            "test_streaming.py::test_softmax",
        ),
        (
            "lanes behind the row may be the largest",
            "only_first<T>(v, count, kLeast)",
            "v",
            SOFTMAX,
        ),
    ],
    "cpu/softmax.cpp": [
        (
            "labels beyond the classes pass",
            "labels[row] < 0 || labels[row] >= shape.classes",
            "labels[row] < 0",
            "test_softmax.py::test_errors_of_the_kernel_module",
        ),
        (
            "all rows take one scale",
            "scale[one_scale ? 0 : row]",
            "scale[one_scale ? 0 : 0]",
            "test_softmax.py::test_sparse",
        ),
    ],
}
