// Activations and their gradients; contracts: activations.hpp.
#include "cpu/kernels/activations.hpp"

#include "cpu/kernels/chunks.hpp"
#include "cpu/kernels/exponential.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

// Each of the following has forward(x) and backward(grad, kept), and says how many vectors go together
// (map_vectors): those with an exponential take registers enough alone.

template <class T>
struct Relu {
  using V = Vector<T>;
  static constexpr int kVectors = kTogether;
  static V forward(V x) { return relu<T>(x); }
  static V backward(V grad, V y) { return y <= 0 ? V{} : grad; }
};

template <class T>
struct Relu6 {
  using V = Vector<T>;
  static constexpr int kVectors = kTogether;
  static V forward(V x) { return clamp<T>(relu<T>(x), 0, 6); }
  static V backward(V grad, V y) { return (y <= 0) | (y >= 6) ? V{} : grad; }
};

template <class T>
struct LeakyRelu {
  using V = Vector<T>;
  static constexpr int kVectors = kTogether;
  static constexpr T kLeak = static_cast<T>(0.2);
  static V forward(V x) { return x > 0 ? x : x * kLeak; }
  static V backward(V grad, V y) { return y > 0 ? grad : grad * kLeak; }
};

template <class T>
struct Elu {
  using V = Vector<T>;
  static constexpr int kVectors = 1;
  static V forward(V x) { return x > 0 ? x : exponential_less_one<T>(x); }
  static V backward(V grad, V y) { return y > 0 ? grad : grad * (y + 1); }
};

template <class T>
KONV_INLINE Vector<T> sigmoid(Vector<T> x) {
  return 1 / (1 + exponential<T>(-x));  // infinite, the exponential gives the limit
}

template <class T>
struct Sigmoid {
  using V = Vector<T>;
  static constexpr int kVectors = 1;
  static V forward(V x) { return sigmoid<T>(x); }
  static V backward(V grad, V y) { return grad * ((1 - y) * y); }
};

template <class T>
struct HardSigmoid {
  using V = Vector<T>;
  static constexpr int kVectors = kTogether;
  static V forward(V x) { return clamp<T>(x + 3, 0, 6) / 6; }
  static V backward(V grad, V y) { return (y <= 0) | (y >= 1) ? V{} : grad / 6; }
};

// With m = e^-2|x| - 1, tanh |x| = -m / (2 + m), to 8 u of itself.
template <class T>
struct Tanh {
  using V = Vector<T>;
  static constexpr int kVectors = 1;
  using Bits = typename ExponentialOf<T>::Bits;
  static V forward(V x) {
    const Bits sign = reinterpret_cast<Bits>(x) & reinterpret_cast<Bits>(broadcast(static_cast<T>(-0.0)));
    const V magnitude = reinterpret_cast<V>(reinterpret_cast<Bits>(x) ^ sign);
    const V m = exponential_less_one<T>(-2 * magnitude);
    return reinterpret_cast<V>(reinterpret_cast<Bits>((0 - m) / (2 + m)) | sign);
  }
  static V backward(V grad, V y) { return grad * (1 - y * y); }
};

template <class T>
struct Silu {
  using V = Vector<T>;
  static constexpr int kVectors = 1;
  static constexpr T kLargest = sizeof(T) == 4 ? __FLT_MAX__ : static_cast<T>(__DBL_MAX__);
  static V forward(V x) {
    const V share = sigmoid<T>(x);
    return share == 0 ? share : x * share;  // at -infinity the limit is 0
  }
  static V backward(V grad, V x) {
    const V share = sigmoid<T>(x);
    const V finite = clamp<T>(x, -kLargest, kLargest);  // infinite, it meets a factor of 0
    return grad * (share + finite * share * (1 - share));
  }
};

template <class T, template <class> class Function>
void forward(const T* x, int64_t count, T* y, bool streamed) {
  map_vectors<T, Function<T>::kVectors>(
      y, streamed, count, [&](int64_t i, auto access) { return Function<T>::forward(access.load(x + i)); });
}

template <class T, template <class> class Function>
void backward(const T* grad, const T* kept, int64_t count, T* grad_x, bool streamed) {
  map_vectors<T, Function<T>::kVectors>(grad_x, streamed, count, [&](int64_t i, auto access) {
    return Function<T>::backward(access.load(grad + i), access.load(kept + i));
  });
}

template <class T, template <class> class Function>
constexpr ActivationKernels<T> kKernels = {forward<T, Function>, backward<T, Function>};

}  // namespace

// In the order of Activation.
#define KONV_ACTIVATIONS(T)                                                                      \
  {                                                                                              \
      kKernels<T, Relu>,    kKernels<T, Relu6>,       kKernels<T, LeakyRelu>, kKernels<T, Elu>,  \
      kKernels<T, Sigmoid>, kKernels<T, HardSigmoid>, kKernels<T, Tanh>,      kKernels<T, Silu>, \
  }
extern const ActivationKernels<float> kActivationsFloat32[kActivations] = KONV_ACTIVATIONS(float);
extern const ActivationKernels<double> kActivationsFloat64[kActivations] = KONV_ACTIVATIONS(double);
#undef KONV_ACTIVATIONS

}  // namespace konv::cpu::KONV_ISA
