// Direct convolution, gradient of the kernel: dW[tap][c][k] = sum over pixels of x[pixel + tap][c] *
// grad[pixel][k].
//
// The sum over pixels is cut into blocks of about kBlockPixels, of one image or of several small ones; a
// block's slab (as in forward) and packed gradient stay in L2 while the tile runs over taps, channels and
// filters, and its sums are added to those of the blocks before. A task owns a group of channels, a group of
// filters and a split of the blocks; splits are added in order at the end. All cuts are functions of the
// shape, so the bits are the same for any number of threads.
#include <algorithm>

#include "cpu/blocks.hpp"
#include "cpu/carver.hpp"
#include "cpu/conv2d_algorithms.hpp"
#include "cpu/conv2d_direct_plan.hpp"
#include "cpu/isa.hpp"
#include "cpu/result.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {
namespace {

constexpr int64_t kBlockPixels = 224;      // loads and stores of the sums cost 1/8 of their multiplications
constexpr int64_t kSlabBytes = 512 << 10;  // of the images of a block together
constexpr int64_t kChannels = 64;          // of a task: its slab fits L2 beside the packed gradient
constexpr int64_t kFilters = 128;          // of a task
constexpr int64_t kPointwise = 256;        // channels and filters of a task with a single tap
constexpr int64_t kTasks = 16;             // the splits fill up to about as many
constexpr int64_t kSplitBlocks = 2;        // blocks that a split has at least
constexpr int64_t kAddedInNanosecond = 8;  // elements of the splits
constexpr int64_t kRunPixels = 32;         // between two turns of fetching ahead, which take some lines each

template <class T>
struct GradientScratch {
  T* slab;
  T* grad;  // [filter block][row][column][B]
  int64_t* row_offset;
  PixelRun* runs;
  MemoryStretch* ahead;
  BlockTables tables, tables_ahead;
};

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
    // Without padding, x is read in place where that is contiguous, as in a slab: by a single tap, or by a
    // row of merged ones.
    const bool contiguous = single_tap || (plan_.merged && shape.groups == 1 && w.step == 1);
    x_in_place_ = contiguous && !meets_padding(h) && !meets_padding(w) &&
                  w.stride * shape.C * int64_t{sizeof(T)} % kernels_.aliased_bytes != 0;
    if (x_in_place_)
      for (int64_t r = 0; r < h.taps; ++r) taps_.push_back(r * h.step * shape.w.size * shape.C);
    else
      taps_ = plan_.tap_offsets();
    filters_ = std::min(shape.group_filters(), single_tap ? kPointwise : kFilters);
    channel_groups_ = ceil_div(shape.group_channels(), plan_.channels);
    filter_groups_ = ceil_div(shape.group_filters(), filters_);
    columns_ = ceil_div(filters_, tile_.block_filters) * tile_.block_filters;
    const bool whole_blocks = shape.group_filters() % tile_.block_filters == 0;
    grad_in_place_ = whole_blocks && shape.K * int64_t{sizeof(T)} % kernels_.aliased_bytes != 0;
    const int64_t parts = plan_.block_rows * plan_.block_columns;
    if (parts == 1 && images_ > 1)
      block_images_ = std::clamp<int64_t>(
          std::min(kBlockPixels / plan_.pixels(), kSlabBytes / (plan_.elements() * int64_t{sizeof(T)} + 1)),
          1, images_);
    blocks_ = ceil_div(images_, block_images_) * parts;
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
      const int64_t owner = task % owners(), split = task / owners();
      run_task(x, grad, s,
               sums_in_place_ ? grad_kernel + kernel_offset(owner_of(owner), 0, 0)
                              : sums + (owner * splits_ + split) * sums_size(),
               task);
    });
    if (sums_in_place_) return;
    for_each_block(owners() * plan_.taps * plan_.length, ceil_div(columns_ * splits_, kAddedInNanosecond),
                   [&](int64_t first, int64_t rows) {
                     for (int64_t row = first; row < first + rows; ++row) add_splits(sums, row, grad_kernel);
                   });
  }

 private:
  // A task's owner: the part of the kernel it computes.
  int64_t owners() const { return shape_.groups * channel_groups_ * filter_groups_; }
  int64_t sums_size() const { return plan_.taps * plan_.length * columns_; }
  int64_t all_sums() const { return sums_in_place_ ? 0 : owners() * splits_ * sums_size(); }

  GradientScratch<T> carve_thread(Carver& carver) const {
    GradientScratch<T> s{};
    const int64_t rows = block_images_ * plan_.slab_h.block, pixels = block_images_ * plan_.pixels();
    s.slab = carver.take<T>(x_in_place_ ? 0 : block_images_ * plan_.elements());
    s.grad = carver.take<T>(grad_in_place_ ? 0 : pixels * columns_);
    s.row_offset = carver.take<int64_t>(rows);
    s.runs = carver.take<PixelRun>(rows * ceil_div(plan_.slab_w.block, kRunPixels));
    s.ahead =
        carver.take<MemoryStretch>(block_images_ * plan_.slab_h.positions * plan_.slab_w.positions + pixels);
    for (BlockTables* tables : {&s.tables, &s.tables_ahead}) {
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

  // A block of the sum over pixels: whole images, or one of the blocks that an image is cut into.
  struct Block {
    int64_t image, images, part;
  };
  Block block_at(int64_t index) const {
    const int64_t parts = plan_.block_rows * plan_.block_columns, image = index / parts * block_images_;
    return {image, std::min(block_images_, images_ - image), index % parts};
  }
  int64_t first_block(int64_t split) const { return blocks_ * split / splits_; }

  void run_task(const T* x, const T* grad, GradientScratch<T>& s, T* sums, int64_t task) const {
    const Owner o = owner_of(task % owners());
    const int64_t split = task / owners(), begin = first_block(split), end = first_block(split + 1);
    if (begin == end) return std::fill(sums, sums + sums_size(), T{0});
    for (int64_t index = begin; index < end; ++index) {
      const Block block = block_at(index);
      KernelGradientBlock<T> b{};
      if (index + 1 < end)
        list_ahead(x, grad, o, index + 1, s, b);
      else if (const int64_t next = task + threads_; next < owners() * splits_)  // likely the thread's
        list_ahead(x, grad, owner_of(next % owners()), first_block(next / owners()), s, b);
      fill_block_tables(plan_, block.part, s.tables);
      list_runs(block, place_slab(x, o, block, s, b), place_grad(grad, o, block, s, b), s, b);
      b.tap = taps_.data();
      b.taps = plan_.taps;
      b.length = length_of(o);
      b.sums = sums;
      b.sums_row = sums_in_place_ ? shape_.K : b.blocks * tile_.block_filters;
      b.accumulate = index > begin;
      tile_.kernel_gradient(b);
    }
  }

  // Pixel (0, 0) of an image, the owner's first channel.
  const T* image_of(const T* x, const Owner& o, int64_t image) const {
    return x + image * shape_.h.size * shape_.w.size * shape_.C + o.group * shape_.group_channels() +
           o.first_channel;
  }

  // The first pixel of an image's block, the owner's first filter.
  const T* grad_of(const T* grad, const Owner& o, int64_t image, const BlockTables& tables) const {
    const int64_t row = image * plan_.h.out + tables.first_row;
    return grad + (row * plan_.w.out + tables.first_column) * shape_.K + o.group * shape_.group_filters() +
           o.first_filter;
  }
  // Elements between neighbouring images, rows and pixels of a block.
  struct Pitches {
    int64_t image, row, pixel;
  };

  Pitches place_slab(const T* x, const Owner& o, const Block& block, const GradientScratch<T>& s,
                     KernelGradientBlock<T>& b) const {
    const int64_t x_row = shape_.w.size * shape_.C, x_image = shape_.h.size * x_row;
    if (x_in_place_) {
      const auto position = [](const TapAxis& axis, int64_t out) { return out * axis.stride + axis.origin; };
      b.slab = image_of(x, o, block.image) + position(plan_.h, s.tables.first_row) * x_row +
               position(plan_.w, s.tables.first_column) * shape_.C;
      return {x_image, plan_.h.stride * x_row, plan_.w.stride * shape_.C};
    }
    for (int64_t i = 0; i < block.images; ++i)
      pack_block(plan_, s.tables, kernels_, image_of(x, o, block.image + i), plan_.w.in * shape_.C, shape_.C,
                 o.channels, s.slab + i * plan_.elements());
    b.slab = s.slab;
    return {plan_.elements(), plan_.row_stride, plan_.column_stride};
  }

  // Read in place where filters fill the blocks of a tile: packed, it would cost what it takes to read it.
  Pitches place_grad(const T* grad, const Owner& o, const Block& block, const GradientScratch<T>& s,
                     KernelGradientBlock<T>& b) const {
    const int64_t B = tile_.block_filters, rows = s.tables.rows, columns = s.tables.columns;
    const int64_t grad_row = plan_.w.out * shape_.K, grad_image = plan_.h.out * grad_row;
    const T* first = grad_of(grad, o, block.image, s.tables);
    b.blocks = ceil_div(o.filters, B);
    if (grad_in_place_) {
      b.grad = first;
      b.grad_block = B;
      return {grad_image, grad_row, shape_.K};
    }
    for (int64_t i = 0; i < block.images * rows; ++i)
      s.row_offset[i] = i / rows * grad_image + i % rows * grad_row;
    PanelSource<T> panel{};
    panel.run_offset = s.row_offset;
    panel.runs = block.images * rows;
    panel.elements = columns;
    panel.lanes = o.filters;
    panel.element_stride = shape_.K;
    panel.lane_stride = 1;
    panel.source = first;
    panel.panel = s.grad;
    panel.panel_stride = block.images * rows * columns * B;
    tile_.pack_panel(panel);
    b.grad = s.grad;
    b.grad_block = panel.panel_stride;
    return {rows * columns * B, columns * B, B};
  }

  void list_runs(const Block& block, const Pitches& slab, const Pitches& grad, const GradientScratch<T>& s,
                 KernelGradientBlock<T>& b) const {
    b.runs = s.runs;
    b.pixel_stride = slab.pixel;
    b.grad_pixel = grad.pixel;
    for (int64_t n = 0; n < block.images; ++n)
      for (int64_t i = 0; i < s.tables.rows; ++i)
        for (int64_t j = 0; j < s.tables.columns; j += kRunPixels)
          s.runs[b.run_count++] = {n * slab.image + i * slab.row + j * slab.pixel,
                                   n * grad.image + i * grad.row + j * grad.pixel,
                                   std::min(kRunPixels, s.tables.columns - j)};
  }

  // What a block reads that comes after this one.
  void list_ahead(const T* x, const T* grad, const Owner& o, int64_t index, GradientScratch<T>& s,
                  KernelGradientBlock<T>& b) const {
    const Block block = block_at(index);
    const BlockTables& tables = s.tables_ahead;
    fill_block_tables(plan_, block.part, s.tables_ahead);
    for (int64_t n = 0; n < block.images; ++n) {
      b.ahead_count += list_block(plan_, tables, image_of(x, o, block.image + n), plan_.w.in * shape_.C,
                                  shape_.C, o.channels, s.ahead + b.ahead_count);
      for (int64_t i = 0; i < tables.rows; ++i)
        b.ahead_count += list_pixels(grad_of(grad, o, block.image + n, tables) + i * plan_.w.out * shape_.K,
                                     tables.columns, o.filters, shape_.K, s.ahead + b.ahead_count);
    }
    b.ahead = s.ahead;
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

  // Sums of the splits, in order, to the filters that belong to a row [0, owners * taps * length) of the
  // sums.
  void add_splits(const T* sums, int64_t row, T* grad_kernel) const {
    const int64_t owner = row / (plan_.taps * plan_.length), t = row / plan_.length % plan_.taps,
                  l = row % plan_.length;
    const Owner o = owner_of(owner);
    if (l >= length_of(o)) return;  // a last, smaller group of channels
    const int64_t columns = ceil_div(o.filters, tile_.block_filters) * tile_.block_filters;
    const T* from = sums + owner * splits_ * sums_size() + (t * length_of(o) + l) * columns;
    T* out = grad_kernel + kernel_offset(o, t, l);
    std::copy(from, from + o.filters, out);
    for (int64_t split = 1; split < splits_; ++split)
      for (int64_t k = 0; k < o.filters; ++k) out[k] += from[split * sums_size() + k];
  }

  Conv2dShape shape_;
  const Conv2dDirectKernels<T>& kernels_;
  const Conv2dDirectTile<T>& tile_;
  SlabPlan plan_;
  std::vector<int64_t> taps_;
  bool x_in_place_, grad_in_place_, sums_in_place_;
  int64_t images_, block_images_ = 1, filters_, channel_groups_, filter_groups_, columns_, blocks_, splits_;
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
