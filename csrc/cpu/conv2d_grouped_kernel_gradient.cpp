// Grouped convolution with few filters a group: gradient of the kernel, as that of a depthwise convolution of
// each channel of the groups, spread over the filters (conv2d_grouped_plan.hpp).
//
// The bands of all images are cut into splits by the shape alone; a split adds its bands in order, and the
// splits are added in order.
#include <algorithm>

#include "cpu/conv2d_algorithms.hpp"
#include "cpu/conv2d_grouped_plan.hpp"
#include "cpu/isa.hpp"

namespace konv::cpu {
namespace {

constexpr int64_t kTasks = 32;         // splits and blocks of lanes together, about
constexpr int64_t kSplitPixels = 256;  // at least: adding a split costs as much as one pixel of it

template <class T>
class GroupedKernelGradient {
 public:
  explicit GroupedKernelGradient(const Conv2dShape& shape)
      : shape_(shape),
        kernels_(*kernels<T>().conv2d_depthwise),
        plan_(forward_problem(shape), forward_axis(forward_taps(shape.h)),
              forward_axis(forward_taps(shape.w)), kernels_.lanes, sizeof(T)),
        runs_(column_runs(plan_.w, {plan_.lanes, plan_.channels * shape.K, shape.K}, 1)),
        splits_(std::clamp<int64_t>(
            std::min(kTasks / plan_.lane_blocks, shape.N * shape.h.out * shape.w.out / kSplitPixels), 1,
            std::max<int64_t>(1, shape.N * plan_.bands))),
        threads_(threads_for(splits_ * plan_.lane_blocks, shape.flops() / kFlopsPerNanosecond)) {}

  int64_t scratch_bytes() const {
    Carver shared;
    shared.take<T>(splits_ * shape_.kernel_size());
    return shared.bytes() + threads_ * GroupedScratch<T>::bytes(plan_);
  }

  void run(const T* x, const T* grad, T* grad_kernel, void* scratch) const {
    Carver shared(scratch);
    T* sums = shared.take<T>(splits_ * shape_.kernel_size());
    const int64_t thread_bytes = GroupedScratch<T>::bytes(plan_);
    parallel_for(threads_, splits_ * plan_.lane_blocks, [&](int64_t task, int thread) {
      Carver own(static_cast<char*>(scratch) + shared.bytes() + thread * thread_bytes);
      const GroupedScratch<T> s(plan_, own);
      const int64_t block = task % plan_.lane_blocks, split = task / plan_.lane_blocks;
      T* split_sums = sums + split * shape_.kernel_size();
      for (int64_t row = 0; row < kernel_rows(); ++row)
        std::fill_n(split_sums + row * shape_.K + block * plan_.lanes, plan_.lanes_of(block), T{0});
      const int64_t bands = shape_.N * plan_.bands;
      for (int64_t band = bands * split / splits_; band < bands * (split + 1) / splits_; ++band)
        add_band(x, grad, split_sums, s, band / plan_.bands, band % plan_.bands, block);
    });
    parallel_for(threads_, kernel_rows(), [&](int64_t row, int) {
      T* to = grad_kernel + row * shape_.K;
      std::fill_n(to, shape_.K, T{0});
      for (int64_t split = 0; split < splits_; ++split) {
        const T* from = sums + split * shape_.kernel_size() + row * shape_.K;
        for (int64_t k = 0; k < shape_.K; ++k) to[k] += from[k];
      }
    });
  }

 private:
  // (tap row, tap column, channel of a group): a row of the kernel holds all filters.
  int64_t kernel_rows() const { return shape_.h.window * shape_.w.window * plan_.channels; }

  void add_band(const T* x, const T* grad, T* sums, const GroupedScratch<T>& s, int64_t image, int64_t band,
                int64_t block) const {
    const int64_t begin = band * plan_.band, end = std::min(plan_.h.results, begin + plan_.band);
    const int64_t first = block * plan_.lanes, y_row = plan_.w.results * plan_.results;
    const GroupedPlan::Rows slab_rows = plan_.rows_of(begin, end);
    const int64_t x_image = plan_.h.sources * plan_.w.sources * plan_.sources;
    fill_slab(plan_, kernels_, x + image * x_image, slab_rows, block, s);
    const int64_t sums_row = shape_.w.window * plan_.channels * shape_.K;
    for (int64_t i = begin, next; i < end; i = next) {
      const LiveTaps taps = plan_.h.taps_of(i);
      for (next = i + 1; next < end && plan_.h.taps_of(next).same_taps(taps);) ++next;
      DepthwiseGradientRows<T> rows{};
      rows.rows = next - i;
      rows.source_row = shape_.h.stride * plan_.slab_row();
      rows.grad_row = y_row;
      rows.tap_rows = taps.taps;
      rows.row_step = taps.source_step * plan_.slab_row();
      rows.sums_row = sums_row;
      rows.runs = runs_.data();
      rows.run_count = runs_.size();
      rows.channels = plan_.lanes_of(block);
      rows.grad = grad + (image * plan_.h.results + i) * y_row + first;
      rows.source = s.slab + std::max<int64_t>(0, taps.source - slab_rows.first) * plan_.slab_row();
      rows.sums = sums + taps.tap * sums_row + first;
      rows.groups = {1, plan_.channels, plan_.slab_plane(), shape_.K};
      kernels_.kernel_gradient(rows);
    }
  }

  Conv2dShape shape_;
  const Conv2dDepthwiseKernels<T>& kernels_;
  GroupedPlan plan_;
  std::vector<DepthwiseColumns> runs_;  // weights are those of the kernel
  int64_t splits_;
  int threads_;
};

}  // namespace

template <class T>
Buffer grouped_kernel_gradient(const char* op, const Conv2dShape& s, const T* x, const T* grad) {
  const GroupedKernelGradient<T> run(s);
  auto [result, scratch] =
      allocate(op, {checked_bytes(op, "the result", s.kernel_dims(), sizeof(T)), run.scratch_bytes()});
  run.run(x, grad, result.template as<T>(), scratch.data());
  return std::move(result);
}

template Buffer grouped_kernel_gradient<float>(const char*, const Conv2dShape&, const float*, const float*);
template Buffer grouped_kernel_gradient<double>(const char*, const Conv2dShape&, const double*,
                                                const double*);

}  // namespace konv::cpu
