// Batch normalisation over the channels of (rows, C), forward and backward (Ioffe, Szegedy,
// arXiv:1502.03167).
#pragma once

#include "core/check.hpp"
#include "cpu/buffer_pool.hpp"

namespace konv::cpu {

// An array (..., C) as a matrix.
struct ChannelRows {
  int64_t rows, channels;
};

// std::invalid_argument unless x has at least one dimension and none but the first is 0.
ChannelRows make_channel_rows(const char* op, const Dims& x);

// y = (x - mean) * (gamma / sqrt(variance + epsilon)) + beta, then ReLU; gamma and beta may be null.
template <class T>
Buffer batch_norm(const char* op, ChannelRows shape, const T* x, const T* gamma, const T* beta, const T* mean,
                  const T* variance, double epsilon, bool relu);

struct NormalizedAndMoments {
  Buffer y, mean, variance;
};

// With the mean and the biased variance of x itself, both 0 where there are no rows.
template <class T>
NormalizedAndMoments batch_norm_train(const char* op, ChannelRows shape, const T* x, const T* gamma,
                                      const T* beta, double epsilon, bool relu);

struct BatchNormGradients {
  Buffer x, gamma, beta;
};

// `training`: mean and variance came from x, else they are constants. y, the result of the forward pass, is
// given if a ReLU ended it, else null. `x_relu`: x came out of a ReLU, and the gradient is that of what went
// into it.
template <class T>
BatchNormGradients batch_norm_backward(const char* op, ChannelRows shape, const T* grad, const T* x,
                                       const T* gamma, const T* mean, const T* variance, double epsilon,
                                       bool training, const T* y, bool x_relu);

}  // namespace konv::cpu
