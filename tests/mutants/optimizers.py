"""Mutants of the optimizers' steps.

By file (below csrc/): what is broken, the text, its replacement, the tests that must notice.
"""

from __future__ import annotations

SGD = "test_optimizer_kernels.py::test_sgd"
ADAM = "test_optimizer_kernels.py::test_adam"
BLOCKS = "test_optimizer_kernels.py::test_blocks_are_all_changed"
REFUSED = "test_optimizer_kernels.py::test_sgd_refuses"
NOT_FINITE = "test_optimizer_kernels.py::test_non_finite_gradients_go_where_the_formulas_take_them"
INFINITE_WEIGHT = "test_optimizer_kernels.py::test_without_decay_an_infinite_weight_stays"

MUTANTS = {
    "cpu/kernels/chunks.hpp": [
        (
            "elements of the last vector are changed twice",
            "if (i < count) body(i, PartialVector<T>{count - i});",
            "if (i < count && count > kLanes<T>) body(count - kLanes<T>, WholeVector<T>{});\n"
            "  else if (i < count) body(i, PartialVector<T>{count - i});",
            SGD,
        ),
        (
            "the last vector is dropped",
            "if (i < count) body(i, PartialVector<T>{count - i});",
            "",
            SGD,
        ),
        (
            "the last vector is written whole",
            "if (i < count) body(i, PartialVector<T>{count - i});",
            "if (i < count) body(i, WholeVector<T>{});",
            "test_optimizer_kernels.py::test_nothing_beside_the_arrays_is_written",
        ),
    ],
    "cpu/kernels/optimizer.cpp": [
        (
            "weights grow instead of decaying",
            "Decay ? value - value * decay",
            "Decay ? value + value * decay",
            SGD,
        ),
        (
            "plain descent climbs",
            "value - s.rate * access.load(s.gradient + i)",
            "value + s.rate * access.load(s.gradient + i)",
            SGD,
        ),
        (
            "the momentum has no factor",
            "s.momentum * access.load(s.velocity + i) - step",
            "access.load(s.velocity + i) - step",
            SGD,
        ),
        (
            "the velocity is not kept",
            "access.store(s.velocity + i, velocity);\n    access.store(s.value",
            "access.store(s.value",
            SGD,
        ),
        ("Nesterov looks not ahead", "Nesterov ? s.momentum * velocity - step : velocity", "velocity", SGD),
        (
            "Nesterov and plain momentum are exchanged",
            "s.nesterov ? sgd_momentum<T, Decay, true>(s) : sgd_momentum<T, Decay, false>(s)",
            "s.nesterov ? sgd_momentum<T, Decay, false>(s) : sgd_momentum<T, Decay, true>(s)",
            SGD,
        ),
        (
            "SGD multiplies an infinite weight by a decay of 0",
            "s.decay == 0 ? sgd_decay<T, false>(s) : sgd_decay<T, true>(s)",
            "sgd_decay<T, true>(s)",
            INFINITE_WEIGHT,
        ),
        (
            "Adam's momentum takes the rate of the velocity",
            "(gradient - momentum) * s.rate_1",
            "(gradient - momentum) * s.rate_2",
            ADAM,
        ),
        (
            "Adam's velocity takes gradients unsquared",
            "gradient * gradient - velocity",
            "gradient - velocity",
            ADAM,
        ),
        (
            "Adam forgets its velocity",
            "access.store(s.velocity + i, velocity);\n    if (Max)",
            "if (Max)",
            ADAM,
        ),
        ("amsgrad takes the smaller velocity", "largest > velocity ?", "largest < velocity ?", ADAM),
        (
            "amsgrad forgets a NaN",
            "largest > velocity ? largest : velocity",
            "velocity > largest ? velocity : largest",
            NOT_FINITE,
        ),
        ("amsgrad forgets the largest velocity", "access.store(s.velocity_hat + i, velocity);", "", ADAM),
        (
            "epsilon is under the root",
            "(square_root<T>(velocity) + s.epsilon)",
            "square_root<T>(velocity + s.epsilon)",
            ADAM,
        ),
        (
            "Adam's weights don't decay",
            "s.decay == 0 ? adam_decay<T, false>(s) : adam_decay<T, true>(s)",
            "adam_decay<T, false>(s)",
            ADAM,
        ),
    ],
    "cpu/kernels/simd.hpp": [
        ("the root is none", "__builtin_sqrtf(lane) : __builtin_sqrt(lane)", "lane : lane", ADAM),
    ],
    "cpu/optimizer.cpp": [
        (
            "every block of SGD reads the first gradients",
            "part.gradient += first;\n    if (part.velocity)",
            "if (part.velocity)",
            BLOCKS,
        ),
        (
            "every block of SGD has the first velocities",
            "if (part.velocity) part.velocity += first;",
            "",
            BLOCKS,
        ),
        ("every block of Adam has the first momenta", "part.momentum += first;", "", BLOCKS),
        (
            "every block of Adam has the first velocities",
            "    part.velocity += first;\n    if (part.velocity_hat)",
            "    if (part.velocity_hat)",
            BLOCKS,
        ),
        (
            "every block of Adam has the first largest velocities",
            "if (part.velocity_hat) part.velocity_hat += first;",
            "",
            BLOCKS,
        ),
    ],
    "bindings/bind_optimizer.cpp": [
        ("arrays of other shapes pass", "require_dims(op, a.name, dims_of(*a.array), dims);", "", REFUSED),
        (
            "overlapping arrays pass",
            "if (first < other + b->array->nbytes() && other < first + a.array->nbytes())",
            "if (first == other && false)",
            REFUSED,
        ),
        (
            "only equal arrays count as overlapping",
            "if (first < other + b->array->nbytes() && other < first + a.array->nbytes())",
            "if (first == other)",
            REFUSED,
        ),
        ("read-only arrays are written", "if (!array.writeable())", "if (false)", REFUSED),
        (
            "a rate beyond float32 is cut to the largest",
            "if (number > kMost) return std::numeric_limits<T>::infinity();",
            "if (number > kMost) return std::numeric_limits<T>::max();",
            "test_optimizer_kernels.py::test_a_rate_beyond_float32_is_infinite",
        ),
        ("Adam's betas are exchanged", "to_element<T>(1 - beta_1)", "to_element<T>(1 - beta_2)", ADAM),
        ("Adam takes beta for its rate", "to_element<T>(1 - beta_2)", "to_element<T>(beta_2)", ADAM),
    ],
}
