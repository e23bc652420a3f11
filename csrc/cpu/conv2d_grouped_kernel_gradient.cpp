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
        columns_(spans_of(plan_.w, {0, plan_.w.results}, {plan_.lanes, plan_.channels * shape.K, shape.K})),
        rows_(plan_.rows_of_bands(shape.w.window * plan_.channels * shape.K)),
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
    const int64_t first = block * plan_.lanes;
    const std::vector<DepthwiseSpan>& rows = rows_[band];
    const AxisRange sources = plan_.sources_of_band(rows);
    fill_slab(plan_, kernels_, x + image * plan_.h.sources * plan_.w.sources * plan_.sources, sources, block,
              s);
    DepthwiseGradientBlock<T> results{};
    results.source = s.slab - sources.first * plan_.slab_row();
    results.grad = grad + image * plan_.h.results * plan_.w.results * plan_.results + first;
    results.sums = sums + first;
    results.spans = {rows.data(), columns_.data(), static_cast<int64_t>(rows.size()),
                     static_cast<int64_t>(columns_.size())};
    results.channels = plan_.lanes_of(block);
    results.groups = {1, plan_.channels, plan_.slab_plane(), shape_.K};
    kernels_.kernel_gradient(results);
  }

  Conv2dShape shape_;
  const Conv2dDepthwiseKernels<T>& kernels_;
  GroupedPlan plan_;
  std::vector<DepthwiseSpan> columns_;            // weights are those of the kernel
  std::vector<std::vector<DepthwiseSpan>> rows_;  // of each band
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
