// Direct convolution, forward and gradient of x: the outer-product tile over zero-padded slabs.
//
// A task is a block of output pixels of one image and group. For each block of channels it copies what the
// pixels read into a slab, then runs the tile over all filters; the partial sums of the blocks of channels
// meet in the result. Every output is summed by one thread in an order that only the shape determines.
#include <algorithm>
#include <optional>

#include "cpu/carver.hpp"
#include "cpu/conv2d_algorithms.hpp"
#include "cpu/conv2d_problem.hpp"
#include "cpu/isa.hpp"
#include "cpu/result.hpp"
#include "cpu/streaming.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {
namespace {

constexpr int64_t kBlockPixels = 112;  // at least: eight tiles of 14 rows
constexpr int64_t kMostBlockPixels = 896;
constexpr int64_t kImageBlocks = 8;              // that an image has at least, if its blocks have more pixels
constexpr int64_t kBlockProducts = 14336;        // of a filter, in blocks of more pixels
constexpr int64_t kChannels = 128;               // of a slab: with its kernel block it stays in L2
constexpr int64_t kPointwiseBytes = 2048;        // of a pixel's channels in a 1x1 slab, which has no halo
constexpr int64_t kAliasedBytes = 4096;          // pixels that far apart share a set of L1
constexpr int64_t kTasksPerThread = 4;           // enough to balance the load
constexpr double kTurnNanoseconds = 20e3;        // of tasks that are handed out together
constexpr int64_t kBesideNextBytes = 512 << 10;  // of L2, where the next task's pixels are fetched beside
constexpr int64_t kPackedChannels = 64;          // of a task that packs the kernel
constexpr int64_t kLateBlocks = 2;               // of pixels, at most, if tasks pack late
constexpr int64_t kLateBlockPixels = 196;        // of 1x1: still with as many channels as other blocks have
constexpr int64_t kPanelBytes = 128 << 10;       // that are packed late at a time: they stay in L2

// All pixels of all images become one row of one image.
ConvProblem flat_if_pointwise(ConvProblem p) {
  if (p.images == 0 || !is_pointwise(p.h, p.w)) return p;
  p.w.in = p.w.out = p.images * p.h.out * p.w.out;
  p.h.in = p.h.out = 1;
  p.images = 1;
  return p;
}

// About how many output pixels a block has. Where sums are short, more of them share what a task does beside
// its tiles: 3 -> 64 3x3 is 1.05 times as fast with 672 as with 112, 64 -> 64 1x1 1.04 times with 224. But an
// image is still several tasks. A 1x1 convolution of few pixels has one or two blocks, which pack late.
int64_t block_pixels(const ConvProblem& p) {
  if (is_pointwise(p.h, p.w)) {
    const int64_t all = p.images * p.h.out * p.w.out;
    if (all <= kLateBlocks * kLateBlockPixels) return std::max(kBlockPixels, ceil_div(all, kLateBlocks));
  }
  const int64_t products = std::max<int64_t>(1, p.channels * p.h.taps * p.w.taps);
  const int64_t most = std::min(kMostBlockPixels, p.h.out * p.w.out / kImageBlocks);
  return std::max(kBlockPixels, std::min(kBlockProducts / products, most));
}

// Does the tile read x itself? Without padding, where a tap is contiguous as in a slab: a single one, for
// which copying pixels would cost a tenth of the time, or a row of merged ones. Not if the pixels of a tile
// would push each other out of L1.
bool reads_in_place(const ConvProblem& p, const SlabPlan& plan, int64_t item_size) {
  const bool contiguous =
      p.h.taps * p.w.taps == 1 || (plan.merged && p.w.step == 1 && p.channels == p.x_column);
  return contiguous && !meets_padding(p.h) && !meets_padding(p.w) &&
         p.w.stride * p.x_column * item_size % kAliasedBytes != 0;
}

template <class T>
struct DirectScratch {  // one a thread
  T* slab;
  T* panels;  // of the task's filters, if packed late
  BlockTables tables, tables_ahead;
  MemoryStretch* ahead;
};

template <class T>
class DirectRun {
 public:
  explicit DirectRun(const ConvProblem& problem)
      : problem_(flat_if_pointwise(problem)),
        kernels_(*kernels<T>().conv2d_direct),
        tile_(tile_for(kernels_, problem.filters)),
        plan_(make_slab_plan(
            problem_.h, problem_.w, problem.channels, true, block_pixels(problem),
            problem.h.taps * problem.w.taps == 1 ? kPointwiseBytes / int64_t{sizeof(T)} : kChannels,
            kernels_.lanes, sizeof(T))),
        in_place_(reads_in_place(problem_, plan_, sizeof(T))),
        filter_blocks_(ceil_div(problem.filters, tile_.block_filters)),
        channel_blocks_(ceil_div(problem.channels, plan_.channels)),
        streams_(channel_blocks_ == 1 && problem.filters % kernels_.lanes == 0 &&
                 problem.y_column % kernels_.lanes == 0 &&
                 worth_streaming(problem.images * problem.y_image * int64_t{sizeof(T)}, kStreamedTileBytes)),
        threads_(threads_for(kMaxThreads, problem_.nanoseconds(), problem.most_threads)) {
    if (in_place_) {
      plan_.row_stride = problem_.h.stride * problem_.x_row;
      plan_.column_stride = problem_.w.stride * problem_.x_column;
      for (int64_t r = 0; r < problem.h.taps; ++r) taps_.push_back(r * problem.h.step * problem.x_row);
    } else {
      taps_ = plan_.tap_offsets();
    }
    pixels_ = pixel_table(plan_.slab_w.block);
    last_pixels_ = pixel_table(problem_.w.out - (plan_.block_columns - 1) * plan_.slab_w.block);
    for (int64_t r = 0; r < problem.h.taps; ++r)
      for (int64_t s = 0; s < problem.w.taps; ++s)
        kernel_taps_.push_back((problem.h.first_tap + r * problem.h.tap_stride) * problem.kernel_row +
                               (problem.w.first_tap + s * problem.w.tap_stride) * problem.kernel_column);
  }

  int64_t packed_bytes() const { return problem_.groups * group_size() * sizeof(T); }

  // packed: [group][channel block][filter block][tap][channel][B]
  void pack(const T* kernel, T* packed) const {
    const int64_t bands = ceil_div(plan_.channels, kPackedChannels);
    const int64_t tasks = problem_.groups * channel_blocks_ * taps() * bands;
    parallel_for(threads_for(tasks, static_cast<double>(problem_.groups * group_size())), tasks,
                 [&](int64_t task, int) {
                   const int64_t tap = task / bands % taps(), block = task / bands / taps();
                   pack_band(kernel, packed, block / channel_blocks_, block % channel_blocks_, tap,
                             task % bands * kPackedChannels);
                 });
  }

  int64_t scratch_bytes() const {
    Carver one;
    carve_thread(one);
    return threads_ * one.bytes();
  }

  // Does a task fetch what the next one reads? Not few channels, few lines that the hardware sees coming; nor
  // what would push out the kernel: 512->128 and 256->512 take 1.01 to 1.03 times as long so.
  bool fetches_next() const {
    const int64_t pixels = plan_.pixels() * plan_.channels * int64_t{sizeof(T)};
    return !plan_.merged && (!in_place_ || 2 * pixels + packed_bytes() <= kBesideNextBytes);
  }

  // Where there are few blocks of pixels, each panel of the kernel is packed just before it is used, twice at
  // most, and read from L2. Packed before all tasks, it is written to L3 and read again: where other programs
  // use L3, too, 2048->512 at 7x7, 8 images, is 1.09 times as fast packed late, where none does 0.97 times;
  // one image of 1024->256 at 14x14 1.29 and 1.03 times.
  bool packs_late() const { return blocks() <= kLateBlocks; }

  static constexpr bool kAdds = true;

  // Every output of the problem is written.
  void run(const T* x, const T* packed, const Epilogue<T>& epilogue, T* y, void* scratch) const {
    run_tasks(x, {packed, nullptr}, epilogue, y, scratch);
  }

  void run_late(const T* x, const T* kernel, const Epilogue<T>& epilogue, T* y, void* scratch) const {
    run_tasks(x, {nullptr, kernel}, epilogue, y, scratch);
  }

 private:
  // The kernel in one of two forms.
  struct Kernel {
    const T* packed;
    const T* unpacked;
  };

  struct Task {
    int64_t image, block, group, first_filter, last_filter;  // filters in blocks of the tile
  };

  Task task_at(int64_t index, int64_t splits) const {
    const int64_t image_blocks = plan_.block_rows * plan_.block_columns;
    const int64_t split = index % splits, rest = index / splits;
    return {rest / problem_.groups / image_blocks, rest / problem_.groups % image_blocks,
            rest % problem_.groups, filter_blocks_ * split / splits, filter_blocks_ * (split + 1) / splits};
  }

  // Each task runs a block of pixels for one of about equal splits of the filters.
  void run_tasks(const T* x, const Kernel& kernel, const Epilogue<T>& epilogue, T* y, void* scratch) const {
    Carver one;
    carve_thread(one);
    const int64_t splits = balanced_splits(), tasks = blocks() * splits, at_once = tasks_at_once(tasks);
    parallel_for(threads_, ceil_div(tasks, at_once), [&](int64_t turn, int thread) {
      Carver own(static_cast<char*>(scratch) + thread * one.bytes());
      DirectScratch<T> s = carve_thread(own);
      const int64_t first = turn * at_once, end = std::min(tasks, first + at_once);
      for (int64_t index = first; index < end; ++index) {
        const int64_t next = index + 1 < end ? index + 1 : first + threads_ * at_once;  // likely the thread's
        const bool reads_others = next < tasks && next / splits != index / splits;
        run_task(x, kernel, epilogue, y, s, task_at(index, splits),
                 reads_others && fetches_next() ? std::optional(task_at(next, splits)) : std::nullopt);
      }
      if (streams_) end_streaming();
    });
  }

  // Short tasks are handed out several at once: to wait after each of 1 us for what it streamed took a tenth.
  int64_t tasks_at_once(int64_t tasks) const {
    const double all = static_cast<double>(std::max<int64_t>(1, tasks));
    const double most = all / static_cast<double>(threads_ * kTasksPerThread);
    return static_cast<int64_t>(
        std::max(1.0, std::min(kTurnNanoseconds * all / std::max(1.0, problem_.nanoseconds()), most)));
  }
  // Of the filters, so that all threads have work. Each split fills the slab anew, which cost 7% of
  // 1024->512 at 14x14: where there is one, as few as share the blocks out evenly.
  int64_t balanced_splits() const {
    const int64_t most = std::clamp<int64_t>(
        ceil_div(threads_ * kTasksPerThread, std::max<int64_t>(1, blocks())), 1, filter_blocks_);
    for (int64_t splits = 1; splits < most && !in_place_; ++splits)
      if (blocks() * splits % threads_ == 0) return splits;
    return most;
  }
  PixelTable pixel_table(int64_t columns) const {
    return make_pixel_table(plan_, columns, problem_.y_row, problem_.y_column);
  }
  // Of pixels, in all images and groups.
  int64_t blocks() const {
    return problem_.images * problem_.groups * plan_.block_rows * plan_.block_columns;
  }
  // Blocks of filters, at most, that are packed late at a time.
  int64_t late_blocks() const {
    return std::max<int64_t>(1, kPanelBytes / std::max<int64_t>(1, panel_size(plan_.channels) * sizeof(T)));
  }
  int64_t panel_size(int64_t channels) const { return taps() * channels * tile_.block_filters; }
  int64_t taps() const { return static_cast<int64_t>(kernel_taps_.size()); }
  int64_t group_size() const { return taps() * problem_.channels * filter_blocks_ * tile_.block_filters; }
  int64_t packed_offset(int64_t group, int64_t first_channel) const {
    return group * group_size() + first_channel * taps() * filter_blocks_ * tile_.block_filters;
  }

  DirectScratch<T> carve_thread(Carver& carver) const {
    DirectScratch<T> s{};
    s.slab = carver.take<T>(in_place_ ? 0 : plan_.elements());
    s.panels = carver.take<T>(
        packs_late() ? std::min(late_blocks(), filter_blocks_) * panel_size(plan_.channels) : 0);
    for (BlockTables* tables : {&s.tables, &s.tables_ahead}) {
      tables->row_index = carver.take<int64_t>(plan_.slab_h.positions);
      tables->runs = carver.take<ColumnRun>(plan_.slab_w.positions);
    }
    s.ahead = carver.take<MemoryStretch>(plan_.slab_h.positions * plan_.slab_w.positions);
    return s;
  }

  // Channels [first, first + kPackedChannels) of a block of channels, of one tap, for all filters.
  void pack_band(const T* kernel, T* packed, int64_t group, int64_t channel_block, int64_t tap,
                 int64_t first) const {
    const int64_t B = tile_.block_filters, first_channel = channel_block * plan_.channels;
    const int64_t channels = std::min(plan_.channels, problem_.channels - first_channel);
    if (first >= channels) return;
    PanelSource<T> source{};
    source.run_offset = &kernel_taps_[tap];
    source.runs = 1;
    source.elements = std::min(kPackedChannels, channels - first);
    source.element_stride = problem_.kernel_channel;
    source.lane_stride = problem_.kernel_filter;
    source.lanes = problem_.filters;
    source.source =
        kernel + group * problem_.kernel_group + (first_channel + first) * problem_.kernel_channel;
    source.panel = packed + packed_offset(group, first_channel) + (tap * channels + first) * B;
    source.panel_stride = taps() * channels * B;
    tile_.pack_panel(source);
  }

  // The panels of a group's blocks of filters [first_block, last_block), channels [first, first + channels).
  const T* panels_of(const Kernel& kernel, int64_t group, int64_t first_block, int64_t last_block,
                     int64_t first, int64_t channels, DirectScratch<T>& s) const {
    const int64_t B = tile_.block_filters;
    if (kernel.packed)
      return kernel.packed + packed_offset(group, first) + first_block * panel_size(channels);
    PanelSource<T> source{};
    source.run_offset = kernel_taps_.data();
    source.runs = taps();
    source.elements = channels;
    source.lanes = std::min(problem_.filters, last_block * B) - first_block * B;
    source.element_stride = problem_.kernel_channel;
    source.lane_stride = problem_.kernel_filter;
    source.source = kernel.unpacked + group * problem_.kernel_group + first * problem_.kernel_channel +
                    first_block * B * problem_.kernel_filter;
    source.panel = s.panels;
    source.panel_stride = panel_size(channels);
    tile_.pack_panel(source);
    return s.panels;
  }

  // x where a task's image and group begin.
  const T* x_of(const T* x, const Task& task) const {
    return x + task.image * problem_.x_image + task.group * problem_.channels;
  }

  // The pixels that a task reads, channels [first, ...) of them; returns the number of stretches.
  int64_t list_ahead(const T* x, const Task& task, int64_t first, DirectScratch<T>& s) const {
    fill_block_tables(plan_, task.block, s.tables_ahead);
    return list_block(plan_, s.tables_ahead, x_of(x, task) + first, problem_.x_row, problem_.x_column,
                      std::min(plan_.channels, problem_.channels - first), s.ahead);
  }

  // Fetches what `next` reads.
  void run_task(const T* x, const Kernel& kernel, const Epilogue<T>& epilogue, T* y, DirectScratch<T>& s,
                const Task& task, const std::optional<Task>& next) const {
    fill_block_tables(plan_, task.block, s.tables);
    const PixelTable& pixels = s.tables.columns == plan_.slab_w.block ? pixels_ : last_pixels_;
    const T* x_block = x_of(x, task);
    if (in_place_)
      x_block += (problem_.h.origin + s.tables.first_row * problem_.h.stride) * problem_.x_row +
                 (problem_.w.origin + s.tables.first_column * problem_.w.stride) * problem_.x_column;
    const TapAxis &h = problem_.h, &w = problem_.w;
    const int64_t y_block = task.image * problem_.y_image + task.group * problem_.filters +
                            (h.out_offset + s.tables.first_row * h.out_stride) * problem_.y_row +
                            (w.out_offset + s.tables.first_column * w.out_stride) * problem_.y_column;
    const int64_t at_once = kernel.packed ? filter_blocks_ : late_blocks();  // of filters
    for (int64_t first = 0; first < problem_.channels; first += plan_.channels) {
      const int64_t channels = std::min(plan_.channels, problem_.channels - first);
      if (!in_place_)
        pack_block(plan_, s.tables, kernels_, x_block + first, problem_.x_row, problem_.x_column, channels,
                   s.slab);
      int64_t ahead = 0;  // stretches
      if (first + channels < problem_.channels)
        ahead = list_ahead(x, task, first + channels, s);
      else if (next)
        ahead = list_ahead(x, *next, 0, s);

      DirectBlock<T> b{};
      b.slab = in_place_ ? x_block + first : s.slab;
      b.prefetch = in_place_ && !plan_.merged;
      b.stream = streams_;
      b.length = plan_.merged ? plan_.length : channels;
      b.packed_taps = plan_.taps;
      b.accumulate = first > 0;
      b.finish = first + channels == problem_.channels;
      b.relu = epilogue.relu;
      for (int64_t block = task.first_filter, end; block < task.last_filter; block = end, ahead = 0) {
        end = std::min(task.last_filter, block + at_once);
        const int64_t filter = block * tile_.block_filters;
        const T* panels = panels_of(kernel, task.group, block, end, first, channels, s);
        b.blocks = end - block;
        b.filters = problem_.filters - filter;
        b.y = y + y_block + filter;
        b.bias = epilogue.bias ? epilogue.bias + task.group * problem_.filters + filter : nullptr;
        b.addend = epilogue.addend ? epilogue.addend + y_block + filter : nullptr;
        run_rows(b, pixels, panels, ahead, s);
      }
    }
  }

  // The tile, over rows of a task's pixels. Those that the same rows of taps reach go together; the others'
  // taps would only add zeros.
  void run_rows(DirectBlock<T>& b, const PixelTable& pixels, const T* panels, int64_t ahead,
                const DirectScratch<T>& s) const {
    for (int64_t row = 0, next_row; row < s.tables.rows; row = next_row) {
      const TapRange live = live_taps(problem_.h, s.tables.first_row + row);
      for (next_row = row + 1; next_row < s.tables.rows; ++next_row)
        if (live_taps(problem_.h, s.tables.first_row + next_row) != live) break;
      b.pixel = pixels.pixel.data() + row * s.tables.columns;
      b.out = pixels.out.data() + row * s.tables.columns;
      b.pixels = (next_row - row) * s.tables.columns;
      b.ahead = s.ahead + ahead * row / s.tables.rows;
      b.ahead_count = ahead * next_row / s.tables.rows - ahead * row / s.tables.rows;
      b.tap = taps_.data() + live.first * plan_.row_taps;
      b.taps = (live.last - live.first) * plan_.row_taps;
      b.packed = panels + live.first * plan_.row_taps * b.length * tile_.block_filters;
      tile_.forward(b);
    }
  }

  ConvProblem problem_;
  const Conv2dDirectKernels<T>& kernels_;
  const Conv2dDirectTile<T>& tile_;
  SlabPlan plan_;
  bool in_place_;
  PixelTable pixels_, last_pixels_;  // of blocks, and of the last one of a row
  std::vector<int64_t> taps_, kernel_taps_;
  int64_t filter_blocks_, channel_blocks_;
  bool streams_;
  int threads_;
};

}  // namespace

template <class T>
ForwardAlgorithm<T> direct_forward() {
  return kForwardAlgorithm<DirectRun<T>, T>;
}

template <class T>
Buffer direct_input_gradient(const char* op, const Conv2dShape& s, const T* grad, const T* kernel,
                             const T* bias) {
  return run_input_gradient<DirectRun<T>>(op, s, grad, kernel, bias);
}

#define KONV_INSTANTIATE(T)                         \
  template ForwardAlgorithm<T> direct_forward<T>(); \
  template Buffer direct_input_gradient<T>(const char*, const Conv2dShape&, const T*, const T*, const T*);
KONV_INSTANTIATE(float)
KONV_INSTANTIATE(double)
#undef KONV_INSTANTIATE

}  // namespace konv::cpu
