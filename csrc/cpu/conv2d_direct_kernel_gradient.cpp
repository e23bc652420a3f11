// Direct convolution, gradient of the kernel: dW[tap][c][k] = sum over pixels of x[pixel + tap][c] *
// grad[pixel][k].
//
// The sum over pixels is cut into blocks of about kBlockPixels; a block's slab (as in forward) and packed
// gradient stay in L2 while the tile runs over taps, channels and filters, and its sums are added to those of
// the blocks before. A task owns a group of channels, a group of filters and a split of the blocks; splits
// are added in order at the end. All cuts are functions of the shape, so the bits are the same for any number
// of threads.
#include <algorithm>

#include "cpu/carver.hpp"
#include "cpu/conv2d_algorithms.hpp"
#include "cpu/conv2d_direct_plan.hpp"
#include "cpu/isa.hpp"
#include "cpu/result.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {
namespace {

constexpr int64_t kBlockPixels = 224;  // loads and stores of the sums cost 1/8 of their multiplications
constexpr int64_t kChannels = 64;      // of a task: its slab fits L2 beside the packed gradient
constexpr int64_t kFilters = 128;      // of a task
constexpr int64_t kPointwise = 256;    // channels and filters of a task with a single tap
constexpr int64_t kTasks = 16;         // the splits fill up to about as many
constexpr int64_t kSplitBlocks = 2;    // blocks that a split has at least
constexpr int64_t kRunPixels = 32;     // between two turns of fetching ahead, which take some lines each
constexpr int64_t kLineBytes = 64;
constexpr int64_t kAliasedBytes = 4096;  // pixels that far apart share a set of L1, and few of L2

template <class T>
struct GradientScratch {
  T* slab;
  T* grad;  // [filter block][row][column][B]
  int64_t* row_offset;
  PixelRun* runs;
  MemoryStretch* ahead;
  BlockTables tables, next;
};

// The cache lines that hold `elements` elements.
template <class T>
MemoryStretch stretch_of(const T* first, int64_t elements) {
  const auto line = [](const T* at) { return reinterpret_cast<uintptr_t>(at) / kLineBytes; };
  return {first, static_cast<int64_t>(line(first + elements - 1) - line(first)) + 1};
}

template <class T>
class KernelGradientRun {
 public:
  explicit KernelGradientRun(const Conv2dShape& shape)
      : shape_(shape),
        kernels_(*kernels<T>().conv2d_direct),
        tile_(tile_for(kernels_, shape.group_filters())),
        images_(shape.N) {
    TapAxis h = forward_taps(shape.h), w = forward_taps(shape.w);
    if (is_pointwise(h, w) && shape.N > 0) {
      w.in = w.out = shape.N * h.out * w.out;
      h.in = h.out = 1;
      images_ = 1;
    }
    const bool single_tap = h.taps * w.taps == 1;
    plan_ = make_slab_plan(h, w, shape.group_channels(), true, kBlockPixels,
                           single_tap ? kPointwise : kChannels, kernels_.lanes, sizeof(T));
    taps_ = plan_.tap_offsets();
    filters_ = std::min(shape.group_filters(), single_tap ? kPointwise : kFilters);
    channel_groups_ = ceil_div(shape.group_channels(), plan_.channels);
    filter_groups_ = ceil_div(shape.group_filters(), filters_);
    columns_ = ceil_div(filters_, tile_.block_filters) * tile_.block_filters;
    const bool whole_blocks = shape.group_filters() % tile_.block_filters == 0;
    grad_in_place_ = whole_blocks && shape.K * int64_t{sizeof(T)} % kAliasedBytes != 0;
    blocks_ = images_ * plan_.block_rows * plan_.block_columns;
    splits_ = std::clamp<int64_t>(kTasks / owners(), 1, std::max<int64_t>(1, blocks_ / kSplitBlocks));
    sums_in_place_ = whole_blocks && single_tap && splits_ == 1 && blocks_ > 0;
    threads_ = threads_for(owners() * splits_, shape.flops() / kFlopsPerNanosecond);
  }

  int64_t scratch_bytes() const {
    Carver carver;
    carver.take<T>(all_sums());
    Carver one;
    carve_thread(one);
    return carver.bytes() + threads_ * one.bytes();
  }

  void run(const T* x, const T* grad, T* grad_kernel, void* scratch) const {
    Carver shared(scratch);
    T* sums = shared.take<T>(all_sums());
    Carver one;
    carve_thread(one);
    if (plan_.h.taps != shape_.h.window || plan_.w.taps != shape_.w.window)
      std::fill(grad_kernel, grad_kernel + shape_.kernel_size(), T{0});  // taps that only meet padding
    // Owners of one split, which read the same pixels, follow each other.
    parallel_for(threads_, owners() * splits_, [&](int64_t task, int thread) {
      Carver own(static_cast<char*>(scratch) + shared.bytes() + thread * one.bytes());
      GradientScratch<T> s = carve_thread(own);
      const int64_t index = task % owners(), split = task / owners();
      const Owner o = owner_of(index);
      run_split(x, grad, s,
                sums_in_place_ ? grad_kernel + kernel_offset(o, 0, 0)
                               : sums + (index * splits_ + split) * sums_size(),
                o, split);
    });
    if (sums_in_place_) return;
    parallel_for(threads_, owners(), [&](int64_t owner, int) {
      add_splits(sums + owner * splits_ * sums_size(), owner, grad_kernel);
    });
  }

 private:
  // A task's owner: the part of the kernel it computes.
  int64_t owners() const { return shape_.groups * channel_groups_ * filter_groups_; }
  int64_t sums_size() const { return plan_.taps * plan_.length * columns_; }
  int64_t all_sums() const { return sums_in_place_ ? 0 : owners() * splits_ * sums_size(); }

  GradientScratch<T> carve_thread(Carver& carver) const {
    GradientScratch<T> s{};
    s.slab = carver.take<T>(plan_.elements());
    s.grad = carver.take<T>(grad_in_place_ ? 0 : plan_.pixels() * columns_);
    s.row_offset = carver.take<int64_t>(plan_.slab_h.block);
    s.runs = carver.take<PixelRun>(plan_.slab_h.block * ceil_div(plan_.slab_w.block, kRunPixels));
    s.ahead = carver.take<MemoryStretch>(plan_.slab_h.positions * plan_.slab_w.positions + plan_.pixels());
    for (BlockTables* tables : {&s.tables, &s.next}) {
      tables->row_index = carver.take<int64_t>(plan_.slab_h.positions);
      tables->runs = carver.take<ColumnRun>(plan_.slab_w.positions);
    }
    return s;
  }

  struct Owner {
    int64_t group, first_channel, channels, first_filter, filters;
  };
  Owner owner_of(int64_t index) const {
    Owner o{};
    o.first_filter = index % filter_groups_ * filters_;
    o.first_channel = index / filter_groups_ % channel_groups_ * plan_.channels;
    o.group = index / filter_groups_ / channel_groups_;
    o.filters = std::min(filters_, shape_.group_filters() - o.first_filter);
    o.channels = std::min(plan_.channels, shape_.group_channels() - o.first_channel);
    return o;
  }

  // Elements of one tap in the kernel contract's sums.
  int64_t length_of(const Owner& o) const { return plan_.merged ? plan_.length : o.channels; }

  void run_split(const T* x, const T* grad, GradientScratch<T>& s, T* sums, const Owner& o,
                 int64_t split) const {
    const int64_t begin = blocks_ * split / splits_, end = blocks_ * (split + 1) / splits_;
    if (begin == end) return std::fill(sums, sums + sums_size(), T{0});
    fill_block_tables(plan_, begin % image_blocks(), s.next);
    for (int64_t block = begin; block < end; ++block) {
      std::swap(s.tables, s.next);
      KernelGradientBlock<T> b{};
      if (block + 1 < end) {
        fill_block_tables(plan_, (block + 1) % image_blocks(), s.next);
        list_ahead(x, grad, o, block + 1, s, b);
      }
      pack_block(plan_, s.tables, kernels_, image_of(x, o, block), plan_.w.in * shape_.C, shape_.C,
                 o.channels, s.slab);
      place_grad(grad_of(grad, o, block, s.tables), o, s, b);
      b.slab = s.slab;
      b.pixel_stride = plan_.column_stride;
      b.tap = taps_.data();
      b.taps = plan_.taps;
      b.length = length_of(o);
      b.sums = sums;
      b.sums_row = sums_in_place_ ? shape_.K : b.blocks * tile_.block_filters;
      b.accumulate = block > begin;
      tile_.kernel_gradient(b);
    }
  }

  int64_t image_blocks() const { return plan_.block_rows * plan_.block_columns; }

  // Pixel (0, 0) of the block's image, the owner's first channel.
  const T* image_of(const T* x, const Owner& o, int64_t block) const {
    return x + block / image_blocks() * shape_.h.size * shape_.w.size * shape_.C +
           o.group * shape_.group_channels() + o.first_channel;
  }

  // The block's first pixel, the owner's first filter.
  const T* grad_of(const T* grad, const Owner& o, int64_t block, const BlockTables& tables) const {
    const int64_t row = block / image_blocks() * plan_.h.out + tables.first_row;
    return grad + (row * plan_.w.out + tables.first_column) * shape_.K + o.group * shape_.group_filters() +
           o.first_filter;
  }

  // Read in place where filters fill the blocks of a tile and pixels share no set of L1: packed, it would
  // cost what it takes to read it.
  void place_grad(const T* first, const Owner& o, GradientScratch<T>& s, KernelGradientBlock<T>& b) const {
    const int64_t B = tile_.block_filters;
    b.blocks = ceil_div(o.filters, B);
    int64_t row = plan_.w.out * shape_.K;  // elements between rows
    if (grad_in_place_) {
      b.grad = first;
      b.grad_pixel = shape_.K;
      b.grad_block = B;
    } else {
      pack_grad(first, o, s);
      row = s.tables.columns * B;
      b.grad = s.grad;
      b.grad_pixel = B;
      b.grad_block = s.tables.rows * row;
    }
    b.runs = s.runs;
    for (int64_t i = 0; i < s.tables.rows; ++i)
      for (int64_t j = 0; j < s.tables.columns; j += kRunPixels)
        s.runs[b.run_count++] = {i * plan_.row_stride + j * plan_.column_stride, i * row + j * b.grad_pixel,
                                 std::min(kRunPixels, s.tables.columns - j)};
  }

  // What the block of s.next reads.
  void list_ahead(const T* x, const T* grad, const Owner& o, int64_t block, GradientScratch<T>& s,
                  KernelGradientBlock<T>& b) const {
    const auto add = [&](const T* first, int64_t pixels, int64_t elements, int64_t pixel) {
      if (elements == pixel) {  // no gaps between pixels
        elements *= pixels;
        pixels = 1;
      }
      for (int64_t i = 0; i < pixels; ++i) {
        s.ahead[b.ahead_count] = stretch_of(first + i * pixel, elements);
        b.ahead_lines += s.ahead[b.ahead_count++].lines;
      }
    };
    const BlockTables& tables = s.next;
    const T* image = image_of(x, o, block);
    for (int64_t i = 0; i < plan_.slab_h.positions; ++i)
      for (int64_t j = 0; j < tables.run_count; ++j)
        if (tables.row_index[i] >= 0 && tables.runs[j].column >= 0)
          add(image + (tables.row_index[i] * plan_.w.in + tables.runs[j].column) * shape_.C,
              tables.runs[j].length, o.channels, shape_.C);
    for (int64_t i = 0; i < tables.rows; ++i)
      add(grad_of(grad, o, block, tables) + i * plan_.w.out * shape_.K, tables.columns, o.filters, shape_.K);
    b.ahead = s.ahead;
  }

  // The block's gradient as [filter block][row][column][B].
  void pack_grad(const T* block_grad, const Owner& o, GradientScratch<T>& s) const {
    for (int64_t i = 0; i < s.tables.rows; ++i) s.row_offset[i] = i * plan_.w.out * shape_.K;
    PanelSource<T> panel{};
    panel.run_offset = s.row_offset;
    panel.runs = s.tables.rows;
    panel.elements = s.tables.columns;
    panel.lanes = o.filters;
    panel.element_stride = shape_.K;
    panel.lane_stride = 1;
    panel.source = block_grad;
    panel.panel = s.grad;
    panel.panel_stride = s.tables.rows * s.tables.columns * tile_.block_filters;
    tile_.pack_panel(panel);
  }

  // Of element l of tap t of the sums, in grad_kernel. A merged tap is a row of the kernel, its elements run
  // over columns and channels.
  int64_t kernel_offset(const Owner& o, int64_t t, int64_t l) const {
    const int64_t r = plan_.merged ? t : t / plan_.w.taps;
    const int64_t s = plan_.merged ? l / shape_.group_channels() : t % plan_.w.taps;
    const int64_t c = plan_.merged ? l % shape_.group_channels() : l;
    return (((plan_.h.first_tap + r) * shape_.w.window + plan_.w.first_tap + s) * shape_.group_channels() +
            o.first_channel + c) *
               shape_.K +
           o.group * shape_.group_filters() + o.first_filter;
  }

  // Sums of the splits, in order, to the owner's part of grad_kernel.
  void add_splits(const T* sums, int64_t owner_index, T* grad_kernel) const {
    const Owner o = owner_of(owner_index);
    const int64_t columns = ceil_div(o.filters, tile_.block_filters) * tile_.block_filters,
                  length = length_of(o);
    for (int64_t t = 0; t < plan_.taps; ++t)
      for (int64_t l = 0; l < length; ++l) {
        T* out = grad_kernel + kernel_offset(o, t, l);
        const T* row = sums + (t * length + l) * columns;
        for (int64_t k = 0; k < o.filters; ++k) out[k] = row[k];
        for (int64_t split = 1; split < splits_; ++split)
          for (int64_t k = 0; k < o.filters; ++k) out[k] += row[split * sums_size() + k];
      }
  }

  Conv2dShape shape_;
  const Conv2dDirectKernels<T>& kernels_;
  const Conv2dDirectTile<T>& tile_;
  SlabPlan plan_;
  std::vector<int64_t> taps_;
  bool grad_in_place_, sums_in_place_;
  int64_t images_, filters_, channel_groups_, filter_groups_, columns_, blocks_, splits_;
  int threads_;
};

}  // namespace

template <class T>
Buffer direct_kernel_gradient(const char* op, const Conv2dShape& s, const T* x, const T* grad) {
  const KernelGradientRun<T> run(s);
  auto [result, scratch] =
      allocate(op, {checked_bytes(op, "the result", s.kernel_dims(), sizeof(T)), run.scratch_bytes()});
  run.run(x, grad, result.template as<T>(), scratch.data());
  return std::move(result);
}

template Buffer direct_kernel_gradient<float>(const char*, const Conv2dShape&, const float*, const float*);
template Buffer direct_kernel_gradient<double>(const char*, const Conv2dShape&, const double*, const double*);

}  // namespace konv::cpu
