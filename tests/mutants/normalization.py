"""Mutants of elementwise operations, batch normalisation and softmax.

By file (below csrc/): what is broken, the text, its replacement, the tests that must notice.
"""

from __future__ import annotations

BLOCKS = "test_erf.py::test_threads_do_not_change_a_bit"
INFERENCE = "test_batch_norm.py::test_inference"
TRAINING = "test_batch_norm.py::test_training"
BACKWARD = "test_batch_norm.py::test_backward"

SPARSE = "test_softmax.py::test_sparse"
CATEGORICAL = "test_softmax.py::test_categorical"

MUTANTS = {
    "cpu/kernels/elementwise.cpp": [
        (
            "a sum is a difference",
            "return access.load(a + i) + access.load(b + i);",
            "return access.load(a + i) - access.load(b + i);",
            "test_add.py::test_sums",
        ),
    ],
    "cpu/kernels/chunks.hpp": [
        (
            "behind whole groups of vectors a result begins anew",
            "compute(i + rest, access)",
            "compute(rest, access)",
            "test_add.py::test_sums",
        ),
        (
            "a group of vectors is stored in one place",
            "result + i + j * kLanes<T>, vectors[j]",
            "result + i, vectors[j]",
            "test_add.py::test_sums",
        ),
    ],
    "cpu/blocks.hpp": [
        ("every block starts at the first element", "body(first, std::min", "body(0, std::min", BLOCKS),
    ],
    "cpu/elementwise.cpp": [
        (
            "erf is its complement",
            "y[i] = std::erf(x[i]);",
            "y[i] = std::erfc(x[i]);",
            "test_erf.py::test_values",
        ),
    ],
    "cpu/kernels/batch_norm.cpp": [
        (
            "the mean is added",
            "(access.load(x + c) - load(b.mean + c))",
            "(access.load(x + c) + load(b.mean + c))",
            INFERENCE,
        ),
        ("beta is missing", " + load(b.shift + c);", ";", INFERENCE),
        ("ReLU is missing", "Relu ? relu<T>(v) : v", "v", INFERENCE),
        (
            "distances are not squared",
            "squares[v] += distance * distance;",
            "squares[v] += distance;",
            TRAINING,
        ),
        (
            "distances of long rows are not squared",
            "squares += distance * distance;",
            "squares += distance;",
            TRAINING,
        ),
        (
            "the sums of long rows ignore ReLU where y is zero",
            "access.load(b.y + at) <= 0",
            "access.load(b.y + at) < 0",
            BACKWARD,
        ),
        (
            "the last group of long rows is as large as the others",
            "minimum(kRowsTogether, rows - row)",
            "kRowsTogether",
            TRAINING,
        ),
        (
            "the sums ignore ReLU where y is zero",
            "load_chunk<Lanes>(b.y + at) <= 0",
            "load_chunk<Lanes>(b.y + at) < 0",
            BACKWARD,
        ),
        (
            "the gradient of gamma adds the mean",
            "load_chunk<Lanes>(b.x + at) - mean[v]",
            "load_chunk<Lanes>(b.x + at) + mean[v]",
            BACKWARD,
        ),
        (
            "the gradient of x has a wrong sign",
            "- load(b.constant + c) - (x - load",
            "- load(b.constant + c) + (x - load",
            BACKWARD,
        ),
        ("the gradient of x forgets the mean of grad", "g - load(b.constant + c) - ", "g - ", BACKWARD),
        (
            "the gradient of x ignores the ReLU before where x is zero",
            "g = x <= 0 ? Vector<T>{} : g;",
            "g = x < 0 ? Vector<T>{} : g;",
            "test_batch_norm.py::test_backward_takes_the_gradient_of_the_relu_before",
        ),
        (
            "the gradient of x ignores ReLU where y is zero",
            "access.load(b.y + first + c) <= 0",
            "access.load(b.y + first + c) < 0",
            BACKWARD,
        ),
    ],
    "cpu/kernels/softmax.cpp": [
        (
            "lanes behind the row count for the largest",
            "if (count < kLanes<T>) v = only_first<T>(v, count, kLeast);",
            "",
            SPARSE,
        ),
        (
            "lanes behind the row count for the sum",
            "if (count < kLanes<T>) e = only_first<T>(e, count, T{0});",
            "",
            SPARSE,
        ),
        ("the largest is not subtracted", "access.load(z + c) - largest;", "access.load(z + c);", SPARSE),
        ("weights are not summed", "target_sum += t;", "target_sum = t;", CATEGORICAL),
        (
            "the gradient ignores the weights",
            "in_register(y) - access.load(b.target",
            "in_register(y) + access.load(b.target",
            CATEGORICAL,
        ),
    ],
    "cpu/softmax.cpp": [
        ("the gradient ignores the label", "y[row * C + targets.labels[row]] -= each[row];", ";", SPARSE),
        ("one scale serves all rows", "scale[one_scale ? 0 : row]", "scale[0]", SPARSE),
        (
            "a label may be negative",
            "labels[row] < 0 || ",
            "",
            "test_softmax.py::test_errors_of_the_kernel_module",
        ),
        (
            "the gradient takes weights for probabilities",
            "targets.weights ? each[row] * sums.weight[row] : each[row]",
            "each[row]",
            CATEGORICAL,
        ),
        (
            "softmax does not divide",
            "factor[row] = 1 / factor[row];",
            "factor[row] = 1;",
            "test_softmax.py::test_softmax",
        ),
    ],
    "cpu/batch_norm.cpp": [
        (
            "means are distances from an infinity",
            "shape.rows > 0 && std::isfinite(x[c])",
            "shape.rows > 0",
            "test_batch_norm.py::test_the_mean_of_one_infinity_is_that",
        ),
        ("epsilon is missing", "std::sqrt(variance[c] + epsilon)", "std::sqrt(variance[c])", INFERENCE),
        (
            "the variance is unbiased",
            "squares[c] < 0 ? 0 : squares[c] / total",
            "squares[c] < 0 ? 0 : squares[c] / (total - 1)",
            "test_batch_norm.py::test_variance_is_biased",
        ),
        (
            "gamma is missing",
            "(gamma ? gamma[c] : 1) * rstd(variance, c, epsilon); });\n  fill_columns(n.shift",
            "rstd(variance, c, epsilon); });\n  fill_columns(n.shift",
            INFERENCE,
        ),
        (
            "the blocks' means count as equal",
            "+ count * (means[c] - centre[c]) * (means[c] - centre[c]);",
            ";",
            TRAINING,
        ),
        (
            "the means of rows side by side count as equal",
            "squares[c] += rows * distance * distance;",
            ";",
            TRAINING,
        ),
        ("the rows that fill no wide one are dropped", " + (shape_.rows % repeat_ > 0);", ";", INFERENCE),
        (
            "the last rows are the first again",
            "return {wide_rows_ * columns(), shape_.rows % repeat_",
            "return {0 * wide_rows_, shape_.rows % repeat_",
            INFERENCE,
        ),
        (
            "the gradient of x subtracts a sum for a mean",
            "return s.total_sums[c] / total;",
            "return s.total_sums[c];",
            BACKWARD,
        ),
        (
            "the gradient of x divides by the deviation once only",
            "s.total_products[c] / total * rstd(variance, c, epsilon)",
            "s.total_products[c] / total",
            BACKWARD,
        ),
        ("frozen statistics have gradients", "b.columns, !training,", "b.columns, false,", BACKWARD),
    ],
}
