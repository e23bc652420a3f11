// What one ISA exports: a table of the kernels of every family, for both precisions.
#pragma once

#include "cpu/kernels/activations.hpp"
#include "cpu/kernels/batch_norm.hpp"
#include "cpu/kernels/conv2d_depthwise.hpp"
#include "cpu/kernels/conv2d_direct.hpp"
#include "cpu/kernels/conv2d_winograd.hpp"
#include "cpu/kernels/conv2d_winograd_kernel_gradient.hpp"
#include "cpu/kernels/elementwise.hpp"
#include "cpu/kernels/optimizer.hpp"
#include "cpu/kernels/peak.hpp"
#include "cpu/kernels/philox.hpp"
#include "cpu/kernels/pool2d.hpp"
#include "cpu/kernels/rows.hpp"
#include "cpu/kernels/softmax.hpp"
#include "cpu/kernels/space_to_depth.hpp"

namespace konv::cpu {

template <class T>
struct Kernels {
  const Conv2dDirectKernels<T>* conv2d_direct;
  const Conv2dDepthwiseKernels<T>* conv2d_depthwise;
  const RowsKernels<T>* rows;
  const Pool2dKernels<T>* pool2d;
  const ElementwiseKernels<T>* elementwise;
  const ActivationKernels<T>* activations;  // by Activation
  const BatchNormKernels<T>* batch_norm;
  const OptimizerKernels<T>* optimizer;
  const PeakKernels<T>* peak;
  const DropoutKernels<T>* dropout;
  const SoftmaxKernels<T>* softmax;
};

struct KernelTable {
  const char* isa;
  const PhiloxKernels* philox;
  const WinogradKernels* winograd;  // of float32 alone
  const WinogradKernelGradientKernels* winograd_kernel_gradient;
  const SpaceToDepthKernels* space_to_depth;
  Kernels<float> float32;
  Kernels<double> float64;
};

}  // namespace konv::cpu
