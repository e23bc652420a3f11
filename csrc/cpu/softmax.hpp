// Softmax over the last axis, and the cross-entropies of what goes into it ("logits", z).
#pragma once

#include "core/check.hpp"
#include "cpu/buffer_pool.hpp"

namespace konv::cpu {

struct ClassRows {
  int64_t rows, classes;
};

// What rows of logits should be: one label each, or a row of weights of the classes. One of them is null.
template <class T>
struct Targets {
  const int64_t* labels;
  const T* weights;
};

// exp(z - max) / sum of exp(z - max)
template <class T>
Buffer softmax(const char* op, ClassRows shape, const T* z);

template <class T>
struct CrossEntropies {
  Buffer values;          // of each row: sum of weights * (log of sum of exp(z) - z)
  Buffer largest, total;  // of each row, for the gradient: max z; sum of exp(z - max)
  Buffer weight;          // likewise: sum of the weights; empty for labels
};

// std::invalid_argument for a label that is no class.
template <class T>
CrossEntropies<T> softmax_cross_entropy(const char* op, ClassRows shape, const T* z,
                                        const Targets<T>& targets);

// What the gradient needs of the forward pass; weight is null for labels.
template <class T>
struct RowSums {
  const T *largest, *total, *weight;
};

// The gradient of sum of scale * values; scale has one number for all rows or one each.
template <class T>
Buffer softmax_cross_entropy_backward(const char* op, ClassRows shape, const T* z, const Targets<T>& targets,
                                      const RowSums<T>& sums, const T* scale, bool one_scale);

}  // namespace konv::cpu
