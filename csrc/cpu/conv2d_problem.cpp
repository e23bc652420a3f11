// Convolution passes as tap problems; see conv2d_problem.hpp.
#include "cpu/conv2d_problem.hpp"

#include <cstring>

namespace konv::cpu {

ConvProblem forward_problem(const Conv2dShape& s) {
  ConvProblem p{};
  p.h = forward_taps(s.h);
  p.w = forward_taps(s.w);
  p.images = s.N;
  p.groups = s.groups;
  p.channels = s.group_channels();
  p.filters = s.group_filters();
  p.x_column = s.C;
  p.x_row = s.w.size * p.x_column;
  p.x_image = s.h.size * p.x_row;
  p.y_column = s.K;
  p.y_row = s.w.out * p.y_column;
  p.y_image = s.h.out * p.y_row;
  p.kernel_filter = 1;
  p.kernel_channel = s.K;
  p.kernel_column = p.channels * s.K;
  p.kernel_row = s.w.window * p.kernel_column;
  p.kernel_group = p.filters;
  p.most_threads = get_num_threads();
  return p;
}

ConvProblem input_gradient_problem(const Conv2dShape& s) {
  ConvProblem p = forward_problem(s);
  std::swap(p.channels, p.filters);
  std::swap(p.x_column, p.y_column);
  std::swap(p.x_row, p.y_row);
  std::swap(p.x_image, p.y_image);
  std::swap(p.kernel_filter, p.kernel_channel);
  return p;
}

std::vector<ConvProblem> input_gradient_problems(const Conv2dShape& s) {
  ConvProblem p = input_gradient_problem(s);
  const auto phases = [](const WindowAxis& axis) {
    std::vector<TapAxis> live;
    for (int64_t phase : live_phases(axis)) {
      const TapAxis taps = input_gradient_taps(axis, phase);
      if (taps.taps > 0) live.push_back(taps);
    }
    return live;
  };
  std::vector<ConvProblem> problems;
  const std::vector<TapAxis> columns = phases(s.w);
  for (const TapAxis& h : phases(s.h))
    for (const TapAxis& w : columns) {
      p.h = h;
      p.w = w;
      problems.push_back(p);
    }
  return problems;
}

namespace {

// Which positions of an axis some problem computes, by their remainder by the stride.
std::vector<bool> reached_phases(const WindowAxis& axis, const std::vector<ConvProblem>& problems,
                                 TapAxis ConvProblem::* taps) {
  std::vector<bool> reached(static_cast<size_t>(std::min(axis.stride, axis.size)));
  for (const ConvProblem& problem : problems) reached[(problem.*taps).out_offset] = true;
  return reached;
}

template <class T>
void fill_pixels(T* y, int64_t pixels, int64_t channels, const T* bias) {
  if (!bias) {
    std::memset(y, 0, static_cast<size_t>(pixels * channels) * sizeof(T));  // past the caches if large
    return;
  }
  for (int64_t pixel = 0; pixel < pixels; ++pixel) std::copy(bias, bias + channels, y + pixel * channels);
}

}  // namespace

template <class T>
void fill_unreached(const Conv2dShape& s, const std::vector<ConvProblem>& problems, const T* bias,
                    T* grad_x) {
  const std::vector<bool> h = reached_phases(s.h, problems, &ConvProblem::h),
                          w = reached_phases(s.w, problems, &ConvProblem::w);
  const auto all = [](const std::vector<bool>& phases) {
    return std::find(phases.begin(), phases.end(), false) == phases.end();
  };
  if (all(h) && all(w)) return;
  const int64_t rows = s.N * s.h.size, row_size = s.w.size * s.C;
  parallel_for(threads_for(rows, static_cast<double>(rows) * row_size), rows, [&](int64_t row, int) {
    T* to = grad_x + row * row_size;
    if (!h[row % s.h.size % s.h.stride]) return fill_pixels(to, s.w.size, s.C, bias);
    for (int64_t i = 0; i < s.w.size; ++i)
      if (!w[i % s.w.stride]) fill_pixels(to + i * s.C, 1, s.C, bias);
  });
}

template void fill_unreached<float>(const Conv2dShape&, const std::vector<ConvProblem>&, const float*,
                                    float*);
template void fill_unreached<double>(const Conv2dShape&, const std::vector<ConvProblem>&, const double*,
                                     double*);

}  // namespace konv::cpu
