// Winograd's convolution, forward and gradient of x: F(4x4,3x3), F(3x3,4x4) and F(2x2,5x5), in float32.
//
// Two ways: conv2d_winograd_by_tiles.hpp, which most prepared kernels take, and conv2d_winograd_by_panels.hpp
// for large kernels. Sums add in the order of channels: neither the way nor any other choice made there can
// be seen in a result.
//
// The gradient of x is the forward pass of the rotated kernel, or the adjoint of the forward tiles where
// those are fewer ("valid" on small images): conv2d_winograd_plan.hpp.
//
// Bound by the products, at four times the direct limit where tiles are whole: 904 GFLOP/s on two cores of
// 113. With 64 channels and more 65 to 87% of it is reached; with 32, 60%: the transforms of data and results
// take an eighth of the time each. Numbers beyond 1e36 may overflow in the transforms.
#include <algorithm>

#include "cpu/conv2d_algorithms.hpp"
#include "cpu/conv2d_problem.hpp"
#include "cpu/conv2d_winograd_by_panels.hpp"
#include "cpu/conv2d_winograd_by_tiles.hpp"

namespace konv::cpu {
namespace {

class WinogradRun {
 public:
  explicit WinogradRun(const ConvProblem& problem)
      : by_tiles_(problem),
        by_panels_(problem),
        panels_(by_panels_.pays()),
        prepared_panels_(by_panels_.pays_prepared()) {}

  int64_t packed_bytes() const {
    return prepared_panels_ ? by_panels_.packed_bytes() : by_tiles_.packed_bytes();
  }
  void pack(const float* kernel, float* packed) const {
    prepared_panels_ ? by_panels_.pack(kernel, packed) : by_tiles_.pack(kernel, packed);
  }
  int64_t scratch_bytes() const {
    Carver carver;
    if (panels_) carve(carver);
    return std::max(carver.bytes(), by_tiles_.scratch_bytes());
  }

  static constexpr bool kAdds = true;
  void run(const float* x, const float* packed, const Epilogue<float>& epilogue, float* y,
           void* scratch) const {
    prepared_panels_ ? by_panels_.run(x, packed, epilogue, y, scratch)
                     : by_tiles_.run(x, packed, epilogue, y, scratch);
  }

  bool packs_late() const { return panels_ && !prepared_panels_; }
  void run_late(const float* x, const float* kernel, const Epilogue<float>& epilogue, float* y,
                void* scratch) const {
    Carver carver(scratch);
    const auto [packed, own] = carve(carver);
    by_panels_.pack(kernel, packed);
    by_panels_.run(x, packed, epilogue, y, own);
  }

 private:
  struct LateScratch {
    float* packed;  // if packed late
    char* own;      // of the panels
  };
  LateScratch carve(Carver& carver) const {
    LateScratch s{};
    s.packed = carver.take<float>(packs_late() ? by_panels_.packed_bytes() / int64_t{sizeof(float)} : 0);
    s.own = carver.take<char>(by_panels_.scratch_bytes());
    return s;
  }

  WinogradByTiles by_tiles_;
  WinogradByPanels by_panels_;
  bool panels_, prepared_panels_;  // which way for one call, and for many with the same kernel
};

}  // namespace

ForwardAlgorithm<float> winograd_forward() { return kForwardAlgorithm<WinogradRun, float>; }

Buffer winograd_input_gradient(const char* op, const Conv2dShape& s, const float* grad, const float* kernel,
                               const float* bias) {
  return run_input_gradient<WinogradRun>(op, s, grad, kernel, bias);
}

}  // namespace konv::cpu
