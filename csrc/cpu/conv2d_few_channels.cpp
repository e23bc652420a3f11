// Gradient of x for layers of few channels (C / groups < 16): first layers, whose x has 1 or 3.
//
// There the direct algorithm would fill few lanes with channels, so the lanes run over (s, c) instead: for
// each row of x the tile computes
//   T[q][(s, c)] = sum over r, k of grad[p][q][k] * kernel[r][s][c][k]     p: the output row that r connects
// and each T[q] is added to the s columns of x that it belongs to, in the order of q, s.
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
    for (int64_t phase : live_phases(shape.h)) {
      Phase rows{input_gradient_taps(shape.h, phase), group_size_, {}, {}};
      for (int64_t t = 0; t < rows.taps.taps; ++t) {
        rows.kernel_row.push_back((rows.taps.first_tap + t * rows.taps.tap_stride) * lanes_ * shape.K);
        rows.grad_row.push_back(t * rows.taps.step * shape.w.out * shape.K);
      }
      group_size_ += lane_blocks_ * panel_size(rows);
      phases_.push_back(std::move(rows));
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
    const int64_t phases = static_cast<int64_t>(phases_.size());
    parallel_for(threads_, shape_.groups * phases, [&](int64_t task, int) {
      pack_phase(kernel, packed, task / phases, phases_[task % phases]);
    });
    const int64_t rows = shape_.N * shape_.h.size, tasks = ceil_div(rows, task_rows_);
    parallel_for(threads_, tasks, [&](int64_t task, int thread) {
      Carver own(static_cast<char*>(scratch) + shared.bytes() + thread * one.bytes());
      T* t = own.take<T>(columns_ * lanes_);
      for (int64_t row = rows * task / tasks; row < rows * (task + 1) / tasks; ++row)
        run_row(grad, packed, bias, grad_x + row * shape_.w.size * shape_.C, t, row);
    });
  }

 private:
  // The rows of x at positions of one remainder by the stride: the same rows of taps reach them.
  struct Phase {
    TapAxis taps;
    int64_t panels;                   // where its panels begin in those of a group
    std::vector<int64_t> kernel_row;  // offsets of its taps in the kernel
    std::vector<int64_t> grad_row;    // offsets in grad, from the row that the first tap reads
  };

  int64_t panel_size(const Phase& phase) const {
    return phase.taps.taps * shape_.group_filters() * tile_.block_filters;
  }
  int64_t packed_size() const { return shape_.groups * group_size_; }

  // [lane block][tap][k][lane]
  void pack_phase(const T* kernel, T* packed, int64_t group, const Phase& phase) const {
    PanelSource<T> source{};
    source.source = kernel + group * shape_.group_filters();
    source.run_offset = phase.kernel_row.data();
    source.runs = phase.taps.taps;
    source.elements = shape_.group_filters();
    source.lanes = lanes_;
    source.element_stride = 1;
    source.lane_stride = shape_.K;
    source.panel = packed + group * group_size_ + phase.panels;
    source.panel_stride = panel_size(phase);
    tile_.pack_panel(source);
  }

  // The phase of a row of x; null if no tap reaches it.
  const Phase* phase_of(int64_t position) const {
    for (const Phase& phase : phases_)
      if (phase.taps.out_offset == position % shape_.h.stride) return &phase;
    return nullptr;
  }

  void run_row(const T* grad, const T* packed, const T* bias, T* x_row, T* t, int64_t row) const {
    const WindowAxis &h = shape_.h, &w = shape_.w;
    const int64_t image = row / h.size, position = row % h.size;
    for (int64_t i = 0; i < w.size; ++i)
      for (int64_t c = 0; c < shape_.C; ++c) x_row[i * shape_.C + c] = bias ? bias[c] : T{0};
    const Phase* phase = phase_of(position);
    if (!phase) return;
    const int64_t output = position / h.stride;
    const TapRange live = live_taps(phase->taps, output);
    if (live.first == live.last) return;
    const int64_t p = output + phase->taps.origin + live.first * phase->taps.step;
    const T* grad_row = grad + (image * h.out + p) * w.out * shape_.K;
    for (int64_t group = 0; group < shape_.groups; ++group)
      for (int64_t first = 0; first < w.out; first += columns_) {
        DirectBlock<T> b{};
        b.slab = grad_row + first * shape_.K + group * shape_.group_filters();
        b.pixel = pixel_.data();
        b.out = row_.data();
        b.pixels = std::min(columns_, w.out - first);
        b.tap = phase->grad_row.data();
        b.taps = live.last - live.first;
        b.length = shape_.group_filters();
        b.packed_taps = phase->taps.taps;
        b.packed = packed + group * group_size_ + phase->panels + live.first * b.length * tile_.block_filters;
        b.blocks = lane_blocks_;
        b.filters = lanes_;
        b.y = t;
        tile_.forward(b);
        add_columns(t, first, b.pixels, x_row + group * shape_.group_channels());
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
  std::vector<Phase> phases_;
  int64_t group_size_ = 0;  // of the packed kernel
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
