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

constexpr double kTaskWork = 1 << 15;       // source elements that a task reads at least, about 8 us
constexpr int64_t kTaskColumns = 256;       // at most: their runs lie on the stack
constexpr int64_t kChannelGranule = 64;     // so that tasks share no cache line
constexpr int64_t kDividedBytes = 1 << 19;  // of gradients, for a task: half of L2

// How many of `items`, of `work` source elements each, make a task.
int64_t items_of_task(double task_work, double work, int64_t items) {
  return static_cast<int64_t>(std::clamp(task_work / work, 1.0, static_cast<double>(items)));
}

// Channels in equal blocks of at most about `most` that share no cache line.
int64_t channels_of_task(int64_t all_channels, int64_t most) {
  const int64_t equal = ceil_div(all_channels, ceil_div(all_channels, most));
  return std::min(all_channels, ceil_div(equal, kChannelGranule) * kChannelGranule);
}

// Cuts the result (images, rows, columns, channels) into tasks of about task_work source elements.
struct PoolTasks {
  PoolTasks(int64_t all_rows, int64_t all_columns, int64_t all_channels, double pixel_work, double task_work)
      : channels(channels_of_task(all_channels, items_of_task(task_work, pixel_work, all_channels))),
        columns(std::min(items_of_task(task_work, pixel_work * channels, all_columns), kTaskColumns)),
        rows(items_of_task(task_work, pixel_work * channels * columns, std::max<int64_t>(1, all_rows))),
        channel_blocks(ceil_div(all_channels, channels)),
        column_blocks(ceil_div(all_columns, columns)),
        count(ceil_div(all_rows, rows) * column_blocks * channel_blocks) {}

  int64_t channels, columns, rows;  // of a task
  int64_t channel_blocks, column_blocks, count;
};

// What is gathered, rows counted over all images; source and result may begin at a later row.
template <class T, class Spans>
struct Gathering {
  Spans h, w;
  int64_t C;
  const T* source;
  int64_t first_source_row, source_rows;  // in memory
  T* result;
  int64_t first_result_row;
  bool streamed;
};

// A part of the result.
struct PoolPart {
  int64_t first_row, end_row, first_column, columns, first_channel, channels;  // columns <= kTaskColumns
};

// Behind the last row of the source that row i of the result gathers.
template <class Spans>
int64_t end_of_sources(const Spans& h, int64_t i) {
  const PoolSpan span = h.span(i % h.results());
  const int64_t end = span.count == 0 ? 0 : span.first + (span.count - 1) * h.step().source + 1;
  return i / h.results() * h.sources() + end;
}

// Runs run(row, source_offset, result_offset) on every row of a part; the offsets are those of row.source and
// row.result, for arrays of the same shape.
template <class T, class Spans, class Run>
void gather_part(const Gathering<T, Spans>& g, const PoolPart& part, const Run& run) {
  const Spans &h = g.h, &w = g.w;
  const bool all_columns = part.columns == w.results(), all_channels = part.channels == g.C;
  const bool spread = h.most() == 1 && w.tiles(), ascending = spread || w.period() == 1;
  PoolRun runs[kTaskColumns];
  PoolRow<T> row{};
  row.source = g.source + part.first_channel;
  row.source_row = w.sources() * g.C;
  row.source_left = g.source_rows * row.source_row - part.first_channel;
  row.pixel_size = g.C;
  row.row_step = h.step();
  row.column_step = w.step();
  row.pixels = part.columns;
  row.channels = part.channels;
  row.runs = runs;
  row.run_count = make_runs(w, part.first_column, part.columns, spread, runs);
  row.streamed = g.streamed;
  // From the caches it would only take time.
  const bool fetches = all_columns && all_channels &&
                       worth_streaming(g.source_rows * row.source_row * static_cast<int64_t>(sizeof(T)));
  int64_t read = end_of_sources(h, part.first_row);  // rows of the source
  for (int64_t i = part.first_row; i < part.end_row; ++i) {
    row.row = h.span(i % h.results());
    row.row.first += i / h.results() * h.sources() - g.first_source_row;
    const int64_t result_offset =
        ((i - g.first_result_row) * w.results() + part.first_column) * g.C + part.first_channel;
    row.result = g.result + result_offset;
    if (ascending && all_channels)  // nobody else writes between the pixels
      row.result_left = (all_columns ? (part.end_row - i) * w.results() : part.columns) * g.C;
    row.ahead_count = 0;
    if (fetches && i + 1 < part.end_row) {
      const int64_t next = std::max(read, end_of_sources(h, i + 1));
      row.ahead = g.source + (read - g.first_source_row) * row.source_row;
      row.ahead_count = (next - read) * row.source_row;
      read = next;
    }
    run(row, part.first_channel, result_offset);
  }
}

// The same on whole rows.
template <class T, class Spans, class Run>
void gather_rows(const Gathering<T, Spans>& g, int64_t first_row, int64_t end_row, const Run& run) {
  for (int64_t first = 0; first < g.w.results(); first += kTaskColumns)
    gather_part(g, {first_row, end_row, first, std::min(kTaskColumns, g.w.results() - first), 0, g.C}, run);
}

// The same on the whole result, shared out.
template <class T, class Spans, class Run>
void gather(const Pool2dShape& shape, const Spans& h, const Spans& w, const T* source, T* result,
            bool streamed, const Run& run) {
  const int64_t all_rows = shape.N * h.results(), C = shape.C;
  const double pixel_work = static_cast<double>(h.most()) * static_cast<double>(w.most());
  const double work = pixel_work * static_cast<double>(all_rows) * static_cast<double>(w.results()) * C;
  // Long tasks: windows that overlap read a row of the source twice where tasks meet.
  const double share = work / (get_num_threads() * kBlocksOfThread);
  const PoolTasks tasks(all_rows, w.results(), C, pixel_work, std::max(kTaskWork, share));
  const Gathering<T, Spans> g{h, w, C, source, 0, shape.N * h.sources(), result, 0, streamed};
  const auto run_task = [&](int64_t task, int) {
    const int64_t first_channel = task % tasks.channel_blocks * tasks.channels;
    const int64_t first_column = task / tasks.channel_blocks % tasks.column_blocks * tasks.columns;
    const int64_t first_row = task / tasks.channel_blocks / tasks.column_blocks * tasks.rows;
    gather_part(g,
                {first_row, std::min(first_row + tasks.rows, all_rows), first_column,
                 std::min(tasks.columns, w.results() - first_column), first_channel,
                 std::min(tasks.channels, C - first_channel)},
                run);
    if (streamed) end_streaming();
  };
  // Neighbours in cache go to one thread; from memory, all threads read on from where the others do.
  const int threads = threads_for(tasks.count, work);
  if (streamed)
    parallel_for(threads, tasks.count, run_task);
  else
    parallel_for_own(threads, tasks.count, Order::kUp, run_task);
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

// Rows [begin, end) of an image's gradients: what rows [first, last) of its result gather.
struct DividedRows {
  DividedRows(const CoverSpans& h, int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i)
      if (h.span(i).count > 0) {
        begin = std::min(begin, h.span(i).first);
        end = std::max(end, end_of_sources(h, i));
      }
    begin = std::min(begin, end);
  }
  int64_t begin = INT64_MAX, end = 0;
};

// Gradient of averages whose windows overlap: a task divides the gradients that its rows gather, once and not
// for every pixel that they cover, into a buffer in its core's L2.
template <class T>
Buffer share_out_divided(const char* op, const Pool2dShape& shape, Divisor divisor, const T* grad,
                         int64_t bytes) {
  const WindowAxis& axis = shape.h;
  const int64_t row_elements = shape.w.out * shape.C, all_rows = shape.N * axis.size;
  // Of a task: rows of gradients for `rows` of the result, at most.
  const auto divided_rows = [&](int64_t rows) {
    return std::min(axis.out, ceil_div(axis.extent(), axis.stride) + ceil_div(rows, axis.stride) + 1);
  };
  int64_t rows = std::clamp<int64_t>(ceil_div(all_rows, get_num_threads() * kBlocksOfThread), 1, axis.size);
  while (rows > 1 && divided_rows(rows) * row_elements * static_cast<int64_t>(sizeof(T)) > kDividedBytes)
    rows = ceil_div(rows, 2);
  const int64_t blocks = ceil_div(axis.size, rows), tasks = shape.N * blocks;
  const double work = static_cast<double>(all_rows) * static_cast<double>(shape.w.size) * shape.C *
                      static_cast<double>(CoverSpans(axis, Divisor::kNone).most());
  const int threads = threads_for(tasks, work);
  const int64_t room = checked_multiply(op, "scratch", divided_rows(rows), row_elements);
  auto [grad_x, scratch] = allocate(op, {bytes, checked_multiply(op, "scratch", room * threads, sizeof(T))});
  T *result = grad_x.template as<T>(), *divided = scratch.template as<T>();
  const bool streamed = worth_streaming(bytes);
  const auto sum = kernels<T>().pool2d->sum;
  parallel_for(threads, tasks, [&](int64_t task, int thread) {
    const int64_t image = task / blocks, first = task % blocks * rows;
    const int64_t last = std::min(first + rows, axis.size);
    T* own = divided + thread * room;
    const CoverSpans h(axis, Divisor::kNone), w(shape.w, Divisor::kNone);
    const DividedRows gathered(h, first, last);
    const int64_t first_divided = image * axis.out + gathered.begin;
    const auto run = [&](const PoolRow<T>& row, int64_t, int64_t) { sum(row); };
    gather_rows(Gathering<T, OutputSpans>{OutputSpans(axis, divisor), OutputSpans(shape.w, divisor), shape.C,
                                          grad, 0, shape.N * axis.out, own, first_divided, false},
                first_divided, image * axis.out + gathered.end, run);
    gather_rows(Gathering<T, CoverSpans>{h, w, shape.C, own, first_divided, gathered.end - gathered.begin,
                                         result, 0, streamed},
                image * axis.size + first, image * axis.size + last, run);
    if (streamed) end_streaming();
  });
  return std::move(grad_x);
}

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
  gather(shape, WindowSpans(shape.h, Divisor::kNone), WindowSpans(shape.w, Divisor::kNone), x,
         result.y.as<T>(), worth_streaming(bytes), [&](PoolRow<T>& row, int64_t, int64_t result_offset) {
           row.window_columns = shape.w.window;
           k.forward(row, argmax + result_offset);
         });
  return result;
}

template <class T, class Index>
Buffer max_pool2d_backward(const char* op, const Pool2dShape& shape, const T* grad, const Index* argmax) {
  const int64_t bytes = x_bytes<T>(op, shape);
  Buffer grad_x = allocate(op, bytes);
  const ArgmaxKernels<T, Index>& k = argmax_kernels<T, Index>();
  gather(shape, CoverSpans(shape.h, Divisor::kNone), CoverSpans(shape.w, Divisor::kNone), grad,
         grad_x.as<T>(), worth_streaming(bytes), [&](PoolRow<T>& row, int64_t source_offset, int64_t) {
           row.window_columns = shape.w.window;
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
  if (windows_overlap(shape.h) || windows_overlap(shape.w))
    return share_out_divided(op, shape, divisor, grad, bytes);
  Buffer grad_x = allocate(op, bytes);
  gather_sums<T, CoverSpans>(shape, divisor, grad, grad_x.as<T>(), worth_streaming(bytes));
  return grad_x;
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
