// Driver of pooling: every pass gathers (kernels/pool2d.hpp), shared out by rows, columns and channels of the
// result.
#include "cpu/pool2d.hpp"

#include <algorithm>

#include "cpu/blocks.hpp"
#include "cpu/isa.hpp"
#include "cpu/pool2d_spans.hpp"
#include "cpu/result.hpp"
#include "cpu/streaming.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {
namespace {

constexpr double kTaskWork = 1 << 16;       // source elements that a task reads at least, about 15 us
constexpr int64_t kTaskColumns = 256;       // at most: their runs lie on the stack
constexpr int64_t kChannelGranule = 64;     // so that tasks share no cache line
constexpr int64_t kDividedBytes = 1 << 19;  // of gradients, for each thread: half of L2

// How many of `items`, of `work` source elements each, make a task.
int64_t items_of_task(double task_work, double work, int64_t items) {
  return static_cast<int64_t>(std::clamp(task_work / work, 1.0, static_cast<double>(items)));
}

// Cuts the result (images, rows, columns, channels) into tasks of about task_work source elements.
struct PoolTasks {
  PoolTasks(int64_t all_rows, int64_t all_columns, int64_t all_channels, double pixel_work, double task_work)
      : channels(pixel_work * all_channels > task_work
                     ? std::min(all_channels, ceil_div(items_of_task(task_work, pixel_work, all_channels),
                                                       kChannelGranule) *
                                                  kChannelGranule)
                     : all_channels),
        columns(std::min(items_of_task(task_work, pixel_work * channels, all_columns), kTaskColumns)),
        rows(items_of_task(task_work, pixel_work * channels * columns, std::max<int64_t>(1, all_rows))),
        channel_blocks(ceil_div(all_channels, channels)),
        column_blocks(ceil_div(all_columns, columns)),
        count(ceil_div(all_rows, rows) * column_blocks * channel_blocks) {}

  int64_t channels, columns, rows;  // of a task
  int64_t channel_blocks, column_blocks, count;
};

// Behind the last row of the source, counted over all images, that row i of the result gathers.
template <class Spans>
int64_t end_of_sources(const Spans& h, int64_t i) {
  const PoolSpan span = h.span(i % h.results());
  const int64_t end = span.count == 0 ? 0 : span.first + (span.count - 1) * h.step().source + 1;
  return i / h.results() * h.sources() + end;
}

// Runs run(row, source_offset, result_offset) on every row of every task; the offsets are those of row.source
// and row.result, for arrays of the same shape.
template <class T, class Spans, class Run>
void gather(const Pool2dShape& shape, const Spans& h, const Spans& w, const T* source, T* result,
            bool streamed, const Run& run) {
  const int64_t all_rows = shape.N * h.results(), C = shape.C;
  const double pixel_work = static_cast<double>(h.most()) * static_cast<double>(w.most());
  const double work = pixel_work * static_cast<double>(all_rows) * static_cast<double>(w.results()) * C;
  // Long tasks: windows that overlap read a row of the source twice where tasks meet.
  const double share = work / (get_num_threads() * kBlocksOfThread);
  const PoolTasks tasks(all_rows, w.results(), C, pixel_work, std::max(kTaskWork, share));
  const int64_t source_size = shape.N * h.sources() * w.sources() * C;
  const bool whole_rows = tasks.column_blocks == 1;
  const bool spread = h.most() == 1 && w.tiles(), ascending = spread || w.period() == 1;
  const bool alone = ascending && tasks.channel_blocks == 1;  // nobody else writes between a task's pixels
  // From the caches it would only take time.
  const bool fetches = whole_rows && tasks.channel_blocks == 1 &&
                       worth_streaming(source_size * static_cast<int64_t>(sizeof(T)));
  int64_t positions;  // too many for int64 are read by nobody: argmax refuses those that int32 can't count
  const bool countable = !__builtin_mul_overflow(shape.h.window, shape.w.window, &positions);
  parallel_for(threads_for(tasks.count, work), tasks.count, [&](int64_t task, int) {
    const int64_t first_channel = task % tasks.channel_blocks * tasks.channels;
    const int64_t first_column = task / tasks.channel_blocks % tasks.column_blocks * tasks.columns;
    const int64_t first_row = task / tasks.channel_blocks / tasks.column_blocks * tasks.rows;
    PoolRun runs[kTaskColumns];
    PoolRow<T> row{};
    row.source_row = w.sources() * C;
    row.pixel_size = C;
    row.row_step = h.step();
    row.column_step = w.step();
    row.window_columns = countable ? shape.w.window : 0;
    row.pixels = std::min(tasks.columns, w.results() - first_column);
    row.channels = std::min(tasks.channels, C - first_channel);
    row.runs = runs;
    row.run_count = make_runs(w, first_column, row.pixels, spread, runs);
    row.streamed = streamed;
    const int64_t end_row = std::min(first_row + tasks.rows, all_rows);
    int64_t read = end_of_sources(h, first_row);  // rows of the source
    for (int64_t i = first_row; i < end_row; ++i) {
      row.row = h.span(i % h.results());
      const int64_t source_offset = i / h.results() * h.sources() * row.source_row + first_channel;
      const int64_t result_offset = (i * w.results() + first_column) * C + first_channel;
      row.source = source + source_offset;
      row.result = result + result_offset;
      row.source_left = source_size - source_offset;
      if (alone) row.result_left = (whole_rows ? (end_row - i) * w.results() : row.pixels) * C;
      row.ahead_count = 0;
      if (fetches && i + 1 < end_row) {
        const int64_t next = std::max(read, end_of_sources(h, i + 1));
        row.ahead = source + read * row.source_row;
        row.ahead_count = (next - read) * row.source_row;
        read = next;
      }
      run(row, source_offset, result_offset);
    }
    if (streamed) end_streaming();
  });
}

template <class T, class Index>
const ArgmaxKernels<T, Index>& argmax_kernels() {
  if constexpr (sizeof(Index) == 1)
    return kernels<T>().pool2d->argmax8;
  else
    return kernels<T>().pool2d->argmax32;
}

// Sums, with the divisors of the spans.
template <class T, class Spans>
void gather_sums(const Pool2dShape& shape, Divisor divisor, const T* source, T* result, bool streamed) {
  const Pool2dKernels<T>& k = *kernels<T>().pool2d;
  gather(shape, Spans(shape.h, divisor), Spans(shape.w, divisor), source, result, streamed,
         [&](const PoolRow<T>& row, int64_t, int64_t) { k.sum(row); });
}

template <class T>
int64_t y_bytes(const char* op, const Pool2dShape& shape) {
  return checked_bytes(op, "the result", shape.y_dims(), sizeof(T));
}

template <class T>
int64_t x_bytes(const char* op, const Pool2dShape& shape) {
  return checked_bytes(op, "the result", shape.x_dims(), sizeof(T));
}

Divisor average(bool count_include_pad) {
  return count_include_pad ? Divisor::kPaddedPixels : Divisor::kRealPixels;
}

bool windows_overlap(const WindowAxis& axis) { return axis.stride < axis.extent(); }

}  // namespace

template <class T>
Buffer max_pool2d(const char* op, const Pool2dShape& shape, const T* x) {
  const int64_t bytes = y_bytes<T>(op, shape);
  Buffer y = allocate(op, bytes);
  const Pool2dKernels<T>& k = *kernels<T>().pool2d;
  gather(shape, WindowSpans(shape.h, Divisor::kNone), WindowSpans(shape.w, Divisor::kNone), x, y.as<T>(),
         worth_streaming(bytes), [&](const PoolRow<T>& row, int64_t, int64_t) { k.max(row); });
  return y;
}

template <class T, class Index>
MaxAndArgmax max_pool2d_with_argmax(const char* op, const Pool2dShape& shape, const T* x) {
  const int64_t bytes = y_bytes<T>(op, shape);
  auto [y, argmaxes] = allocate(op, {bytes, y_bytes<Index>(op, shape)});
  MaxAndArgmax result{std::move(y), std::move(argmaxes)};
  const ArgmaxKernels<T, Index>& k = argmax_kernels<T, Index>();
  Index* argmax = result.argmax.as<Index>();
  gather(
      shape, WindowSpans(shape.h, Divisor::kNone), WindowSpans(shape.w, Divisor::kNone), x, result.y.as<T>(),
      worth_streaming(bytes),
      [&](const PoolRow<T>& row, int64_t, int64_t result_offset) { k.forward(row, argmax + result_offset); });
  return result;
}

template <class T, class Index>
Buffer max_pool2d_backward(const char* op, const Pool2dShape& shape, const T* grad, const Index* argmax) {
  const int64_t bytes = x_bytes<T>(op, shape);
  Buffer grad_x = allocate(op, bytes);
  const ArgmaxKernels<T, Index>& k = argmax_kernels<T, Index>();
  gather(shape, CoverSpans(shape.h, Divisor::kNone), CoverSpans(shape.w, Divisor::kNone), grad,
         grad_x.as<T>(), worth_streaming(bytes), [&](const PoolRow<T>& row, int64_t source_offset, int64_t) {
           k.backward(row, argmax + source_offset);
         });
  return grad_x;
}

template <class T>
Buffer sum_pool2d(const char* op, const Pool2dShape& shape, const T* x) {
  const int64_t bytes = y_bytes<T>(op, shape);
  Buffer y = allocate(op, bytes);
  gather_sums<T, WindowSpans>(shape, Divisor::kNone, x, y.as<T>(), worth_streaming(bytes));
  return y;
}

template <class T>
Buffer sum_pool2d_backward(const char* op, const Pool2dShape& shape, const T* grad) {
  const int64_t bytes = x_bytes<T>(op, shape);
  Buffer grad_x = allocate(op, bytes);
  gather_sums<T, CoverSpans>(shape, Divisor::kNone, grad, grad_x.as<T>(), worth_streaming(bytes));
  return grad_x;
}

template <class T>
Buffer avg_pool2d(const char* op, const Pool2dShape& shape, const T* x, bool count_include_pad) {
  const int64_t bytes = y_bytes<T>(op, shape);
  Buffer y = allocate(op, bytes);
  gather_sums<T, WindowSpans>(shape, average(count_include_pad), x, y.as<T>(), worth_streaming(bytes));
  return y;
}

template <class T>
Buffer avg_pool2d_backward(const char* op, const Pool2dShape& shape, const T* grad, bool count_include_pad) {
  const Divisor divisor = average(count_include_pad);
  const int64_t bytes = x_bytes<T>(op, shape);
  if (!windows_overlap(shape.h) && !windows_overlap(shape.w)) {
    Buffer grad_x = allocate(op, bytes);
    gather_sums<T, CoverSpans>(shape, divisor, grad, grad_x.as<T>(), worth_streaming(bytes));
    return grad_x;
  }
  // Windows that overlap have their gradients divided once, not once for every pixel that they cover; some
  // images at a time, which stay in cache until they are shared out.
  const int64_t y_image = shape.h.out * shape.w.out * shape.C,
                x_image = shape.h.size * shape.w.size * shape.C;
  const int64_t y_image_bytes = y_image * static_cast<int64_t>(sizeof(T));
  const int64_t images = std::clamp<int64_t>(get_num_threads() * kDividedBytes / y_image_bytes, 1,
                                             std::max<int64_t>(1, shape.N));
  auto [grad_x, divided] = allocate(op, {bytes, images * y_image_bytes});
  for (int64_t first = 0; first < shape.N; first += images) {
    Pool2dShape part = shape;
    part.N = std::min(images, shape.N - first);
    gather_sums<T, OutputSpans>(part, divisor, grad + first * y_image, divided.template as<T>(), false);
    gather_sums<T, CoverSpans>(part, Divisor::kNone, divided.template as<T>(),
                               grad_x.template as<T>() + first * x_image, worth_streaming(bytes));
  }
  return std::move(grad_x);
}

#define KONV_INSTANTIATE_ARGMAX(T, Index)                                                            \
  template MaxAndArgmax max_pool2d_with_argmax<T, Index>(const char*, const Pool2dShape&, const T*); \
  template Buffer max_pool2d_backward<T, Index>(const char*, const Pool2dShape&, const T*, const Index*);
#define KONV_INSTANTIATE(T)                                                                \
  template Buffer max_pool2d<T>(const char*, const Pool2dShape&, const T*);                \
  template Buffer sum_pool2d<T>(const char*, const Pool2dShape&, const T*);                \
  template Buffer sum_pool2d_backward<T>(const char*, const Pool2dShape&, const T*);       \
  template Buffer avg_pool2d<T>(const char*, const Pool2dShape&, const T*, bool);          \
  template Buffer avg_pool2d_backward<T>(const char*, const Pool2dShape&, const T*, bool); \
  KONV_INSTANTIATE_ARGMAX(T, uint8_t)                                                      \
  KONV_INSTANTIATE_ARGMAX(T, int32_t)
KONV_INSTANTIATE(float)
KONV_INSTANTIATE(double)
#undef KONV_INSTANTIATE
#undef KONV_INSTANTIATE_ARGMAX

}  // namespace konv::cpu
