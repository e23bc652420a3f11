// Gradient of x for layers of few channels (C / groups < 16): first layers, whose x has 1 or 3.
//
// There the direct algorithm would fill few lanes with channels, so the lanes run over (s, c) instead: for
// each row of x and each tap row r that reaches it, the tile computes
//   T[q][(s, c)] = sum over k of grad[p][q][k] * kernel[r][s][c][k]        p: the output row that r connects
// and each T[q] is added to the s columns of x that it belongs to, in the order of r, q, s.
#include <algorithm>

#include "cpu/carver.hpp"
#include "cpu/conv2d_algorithms.hpp"
#include "cpu/conv2d_direct_plan.hpp"
#include "cpu/isa.hpp"
#include "cpu/result.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {
namespace {

constexpr double kTaskNanoseconds =
    50e3;                              // the rows of a task; one row may take less than handing out a task
constexpr int64_t kTileColumns = 112;  // outputs of a row at a time: their T stays in L1

template <class T>
class FewChannelsRun {
 public:
  explicit FewChannelsRun(const Conv2dShape& shape)
      : shape_(shape),
        lanes_(shape.w.window * shape.group_channels()),
        tile_(tile_for(*kernels<T>().conv2d_direct, lanes_)),
        lane_blocks_(ceil_div(lanes_, tile_.block_filters)),
        columns_(std::min(kTileColumns, shape.w.out)),
        threads_(threads_for(kMaxThreads, shape.flops() / kFlopsPerNanosecond)) {
    const double rows = std::max(1.0, static_cast<double>(shape.N * shape.h.size));
    const double row_nanoseconds = std::max(1.0, shape.flops() / kFlopsPerNanosecond / rows);
    task_rows_ = static_cast<int64_t>(std::clamp(kTaskNanoseconds / row_nanoseconds, 1.0, rows));
    for (int64_t q = 0; q < columns_; ++q) {
      pixel_.push_back(q * shape.K);
      row_.push_back(q * lanes_);
    }
  }

  int64_t scratch_bytes() const {
    Carver carver;
    carver.take<T>(packed_size());
    Carver one;
    one.take<T>(columns_ * lanes_);
    return carver.bytes() + threads_ * one.bytes();
  }

  void run(const T* grad, const T* kernel, const T* bias, T* grad_x, void* scratch) const {
    Carver shared(scratch);
    T* packed = shared.take<T>(packed_size());
    Carver one;
    one.take<T>(columns_ * lanes_);
    const int64_t rows_of_taps = shape_.groups * shape_.h.window;
    parallel_for(threads_, rows_of_taps, [&](int64_t task, int) { pack_tap_row(kernel, packed, task); });
    const int64_t rows = shape_.N * shape_.h.size, tasks = ceil_div(rows, task_rows_);
    parallel_for(threads_, tasks, [&](int64_t task, int thread) {
      Carver own(static_cast<char*>(scratch) + shared.bytes() + thread * one.bytes());
      T* t = own.take<T>(columns_ * lanes_);
      for (int64_t row = rows * task / tasks; row < rows * (task + 1) / tasks; ++row)
        run_row(grad, packed, bias, grad_x + row * shape_.w.size * shape_.C, t, row);
    });
  }

 private:
  int64_t tap_row_size() const { return lane_blocks_ * shape_.group_filters() * tile_.block_filters; }
  int64_t packed_size() const { return shape_.groups * shape_.h.window * tap_row_size(); }

  // Row r of group g: [lane block][k][lane]
  void pack_tap_row(const T* kernel, T* packed, int64_t task) const {
    const int64_t group = task / shape_.h.window, r = task % shape_.h.window;
    const int64_t no_offset = 0;
    PanelSource<T> source{};
    source.source = kernel + r * lanes_ * shape_.K + group * shape_.group_filters();
    source.run_offset = &no_offset;
    source.runs = 1;
    source.elements = shape_.group_filters();
    source.lanes = lanes_;
    source.element_stride = 1;
    source.lane_stride = shape_.K;
    source.panel = packed + task * tap_row_size();
    source.panel_stride = shape_.group_filters() * tile_.block_filters;
    tile_.pack_panel(source);
  }

  void run_row(const T* grad, const T* packed, const T* bias, T* x_row, T* t, int64_t row) const {
    const WindowAxis &h = shape_.h, &w = shape_.w;
    const int64_t image = row / h.size, position = row % h.size;
    for (int64_t i = 0; i < w.size; ++i)
      for (int64_t c = 0; c < shape_.C; ++c) x_row[i * shape_.C + c] = bias ? bias[c] : T{0};
    const int64_t no_tap = 0;
    for (int64_t r = 0; r < h.window; ++r) {
      const int64_t reach = position + h.before - r * h.dilation;
      if (reach < 0) break;
      if (reach % h.stride != 0 || reach / h.stride >= h.out) continue;
      const T* grad_row = grad + (image * h.out + reach / h.stride) * w.out * shape_.K;
      for (int64_t group = 0; group < shape_.groups; ++group)
        for (int64_t first = 0; first < w.out; first += columns_) {
          DirectBlock<T> b{};
          b.slab = grad_row + first * shape_.K + group * shape_.group_filters();
          b.pixel = pixel_.data();
          b.out = row_.data();
          b.pixels = std::min(columns_, w.out - first);
          b.tap = &no_tap;
          b.taps = 1;
          b.length = shape_.group_filters();
          b.packed_taps = 1;
          b.packed = packed + (group * h.window + r) * tap_row_size();
          b.blocks = lane_blocks_;
          b.filters = lanes_;
          b.y = t;
          tile_.forward(b);
          add_columns(t, first, b.pixels, x_row + group * shape_.group_channels());
        }
    }
  }

  void add_columns(const T* t, int64_t first, int64_t count, T* x_row) const {
    const WindowAxis& w = shape_.w;
    const int64_t channels = shape_.group_channels();
    for (int64_t q = first; q < first + count; ++q, t += lanes_) {
      const int64_t begin = w.first_tap(q), end = w.last_tap(q);
      if (begin >= end) continue;
      T* x = x_row + w.position(q, begin) * shape_.C;
      if (w.dilation == 1 && channels == shape_.C) {
        const int64_t run = (end - begin) * channels;
        for (int64_t i = 0; i < run; ++i) x[i] += t[begin * channels + i];
      } else {
        for (int64_t s = begin; s < end; ++s, x += w.dilation * shape_.C)
          for (int64_t c = 0; c < channels; ++c) x[c] += t[s * channels + c];
      }
    }
  }

  Conv2dShape shape_;
  int64_t lanes_;  // (s, c) of one tap row
  const Conv2dDirectTile<T>& tile_;
  int64_t lane_blocks_, columns_, task_rows_;
  std::vector<int64_t> pixel_, row_;
  int threads_;
};

}  // namespace

template <class T>
Buffer few_channels_input_gradient(const char* op, const Conv2dShape& s, const T* grad, const T* kernel,
                                   const T* bias) {
  const FewChannelsRun<T> run(s);
  const int64_t bytes = checked_bytes(op, "the result", s.x_dims(), sizeof(T));
  auto [result, scratch] = allocate(op, {bytes, run.scratch_bytes()});
  if (bytes > 0) run.run(grad, kernel, bias, result.template as<T>(), scratch.data());
  return std::move(result);
}

template Buffer few_channels_input_gradient<float>(const char*, const Conv2dShape&, const float*,
                                                   const float*, const float*);
template Buffer few_channels_input_gradient<double>(const char*, const Conv2dShape&, const double*,
                                                    const double*, const double*);

}  // namespace konv::cpu
