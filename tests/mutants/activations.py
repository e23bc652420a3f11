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
            "test_softmax.py::test_exponentials",
        ),
        ("e^x overflows too early", "kMost = 89;", "kMost = 87;", ERRORS),
        ("e^x - 1 ends too early", "kLeastOfLessOne = -18;", "kLeastOfLessOne = -14;", ERRORS),
    ],
}
