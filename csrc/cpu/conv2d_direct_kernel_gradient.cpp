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

template <class T>
struct GradientScratch {
  T* slab;
  T* grad;  // [filter block][row][column][B]
  int64_t* row_offset;
  PixelRun* runs;
  BlockTables tables;
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
    taps_ = plan_.tap_offsets();
    filters_ = std::min(shape.group_filters(), single_tap ? kPointwise : kFilters);
    channel_groups_ = ceil_div(shape.group_channels(), plan_.channels);
    filter_groups_ = ceil_div(shape.group_filters(), filters_);
    columns_ = ceil_div(filters_, tile_.block_filters) * tile_.block_filters;
    blocks_ = images_ * plan_.block_rows * plan_.block_columns;
    splits_ = std::clamp<int64_t>(kTasks / owners(), 1, std::max<int64_t>(1, blocks_ / kSplitBlocks));
    threads_ = threads_for(owners() * splits_, shape.flops() / kFlopsPerNanosecond);
  }

  int64_t scratch_bytes() const {
    Carver carver;
    carver.take<T>(owners() * splits_ * sums_size());
    Carver one;
    carve_thread(one);
    return carver.bytes() + threads_ * one.bytes();
  }

  void run(const T* x, const T* grad, T* grad_kernel, void* scratch) const {
    Carver shared(scratch);
    T* sums = shared.take<T>(owners() * splits_ * sums_size());
    Carver one;
    carve_thread(one);
    parallel_for(threads_, owners() * splits_, [&](int64_t task, int thread) {
      Carver own(static_cast<char*>(scratch) + shared.bytes() + thread * one.bytes());
      GradientScratch<T> s = carve_thread(own);
      run_split(x, grad, s, sums + task * sums_size(), task / splits_, task % splits_);
    });
    if (plan_.h.taps != shape_.h.window || plan_.w.taps != shape_.w.window)
      std::fill(grad_kernel, grad_kernel + shape_.kernel_size(), T{0});  // taps that only meet padding
    parallel_for(threads_, owners(), [&](int64_t owner, int) {
      add_splits(sums + owner * splits_ * sums_size(), owner, grad_kernel);
    });
  }

 private:
  // A task's owner: the part of the kernel it computes.
  int64_t owners() const { return shape_.groups * channel_groups_ * filter_groups_; }
  int64_t sums_size() const { return plan_.taps * plan_.length * columns_; }

  GradientScratch<T> carve_thread(Carver& carver) const {
    GradientScratch<T> s{};
    s.slab = carver.take<T>(plan_.elements());
    s.grad = carver.take<T>(plan_.pixels() * columns_);
    s.row_offset = carver.take<int64_t>(plan_.slab_h.block);
    s.runs = carver.take<PixelRun>(plan_.slab_h.block);
    s.tables.row_index = carver.take<int64_t>(plan_.slab_h.positions);
    s.tables.runs = carver.take<ColumnRun>(plan_.slab_w.positions);
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

  void run_split(const T* x, const T* grad, GradientScratch<T>& s, T* sums, int64_t owner_index,
                 int64_t split) const {
    const Owner o = owner_of(owner_index);
    const int64_t image_blocks = plan_.block_rows * plan_.block_columns, B = tile_.block_filters;
    const int64_t begin = blocks_ * split / splits_, end = blocks_ * (split + 1) / splits_;
    if (begin == end) std::fill(sums, sums + sums_size(), T{0});
    for (int64_t block = begin; block < end; ++block) {
      fill_block_tables(plan_, block % image_blocks, s.tables);
      const int64_t image = block / image_blocks;
      pack_block(plan_, s.tables, kernels_,
                 x + image * shape_.h.size * shape_.w.size * shape_.C + o.group * shape_.group_channels() +
                     o.first_channel,
                 plan_.w.in * shape_.C, shape_.C, o.channels, s.slab);

      KernelGradientBlock<T> b{};
      b.blocks = ceil_div(o.filters, B);
      const T* block_grad =
          grad +
          ((image * plan_.h.out + s.tables.first_row) * plan_.w.out + s.tables.first_column) * shape_.K +
          o.group * shape_.group_filters() + o.first_filter;
      if (shape_.K == B && shape_.groups == 1) {  // the gradient lies as a packed one would
        b.grad = block_grad;
        b.grad_rows = plan_.w.out;
      } else {
        b.grad = s.grad;
        b.grad_rows = s.tables.columns;
        pack_grad(block_grad, o, s);
      }
      for (int64_t i = 0; i < s.tables.rows; ++i)
        s.runs[i] = {i * plan_.row_stride, i * b.grad_rows, s.tables.columns};
      b.grad_rows *= s.tables.rows;

      b.slab = s.slab;
      b.runs = s.runs;
      b.run_count = s.tables.rows;
      b.pixel_stride = plan_.column_stride;
      b.tap = taps_.data();
      b.taps = plan_.taps;
      b.length = length_of(o);
      b.sums = sums;
      b.accumulate = block > begin;
      tile_.kernel_gradient(b);
    }
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

  // Sums of the splits, in order, to the owner's part of grad_kernel.
  void add_splits(const T* sums, int64_t owner_index, T* grad_kernel) const {
    const Owner o = owner_of(owner_index);
    const int64_t columns = ceil_div(o.filters, tile_.block_filters) * tile_.block_filters,
                  length = length_of(o);
    for (int64_t t = 0; t < plan_.taps; ++t)
      for (int64_t l = 0; l < length; ++l) {
        // A merged tap is a row of the kernel, its elements run over columns and channels.
        const int64_t r = plan_.merged ? t : t / plan_.w.taps;
        const int64_t s = plan_.merged ? l / shape_.group_channels() : t % plan_.w.taps;
        const int64_t c = plan_.merged ? l % shape_.group_channels() : l;
        T* out =
            grad_kernel +
            (((plan_.h.first_tap + r) * shape_.w.window + plan_.w.first_tap + s) * shape_.group_channels() +
             o.first_channel + c) *
                shape_.K +
            o.group * shape_.group_filters() + o.first_filter;
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
