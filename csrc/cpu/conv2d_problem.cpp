// Convolution passes as tap problems; see conv2d_problem.hpp.
#include "cpu/conv2d_problem.hpp"

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
  return p;
}

std::vector<ConvProblem> input_gradient_problems(const Conv2dShape& s) {
  ConvProblem p = forward_problem(s);
  std::swap(p.channels, p.filters);
  std::swap(p.x_column, p.y_column);
  std::swap(p.x_row, p.y_row);
  std::swap(p.x_image, p.y_image);
  std::swap(p.kernel_filter, p.kernel_channel);
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

}  // namespace konv::cpu
