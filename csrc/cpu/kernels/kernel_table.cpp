// The table of one ISA; compiled once per ISA like the kernels it collects.
#include "cpu/kernels/kernel_table.hpp"

#define KONV_STRING_OF(name) #name
#define KONV_STRING(name) KONV_STRING_OF(name)

namespace konv::cpu::KONV_ISA {

extern const Conv2dDirectKernels<float> kConv2dDirectFloat32;
extern const Conv2dDirectKernels<double> kConv2dDirectFloat64;
extern const Conv2dDepthwiseKernels<float> kConv2dDepthwiseFloat32;
extern const Conv2dDepthwiseKernels<double> kConv2dDepthwiseFloat64;
extern const WinogradKernelGradientKernels kWinogradKernelGradient;
extern const SpaceToDepthKernels kSpaceToDepth;
extern const RowsKernels<float> kRowsFloat32;
extern const RowsKernels<double> kRowsFloat64;
extern const Pool2dKernels<float> kPool2dFloat32;
extern const Pool2dKernels<double> kPool2dFloat64;
extern const ElementwiseKernels<float> kElementwiseFloat32;
extern const ElementwiseKernels<double> kElementwiseFloat64;
extern const ActivationKernels<float> kActivationsFloat32[];
extern const ActivationKernels<double> kActivationsFloat64[];
extern const BatchNormKernels<float> kBatchNormFloat32;
extern const BatchNormKernels<double> kBatchNormFloat64;
extern const OptimizerKernels<float> kOptimizerFloat32;
extern const OptimizerKernels<double> kOptimizerFloat64;
extern const WinogradKernels kConv2dWinograd;
extern const PeakKernels<float> kPeakFloat32;
extern const PeakKernels<double> kPeakFloat64;
extern const PhiloxKernels kPhilox;
extern const DropoutKernels<float> kDropoutFloat32;
extern const DropoutKernels<double> kDropoutFloat64;
extern const SoftmaxKernels<float> kSoftmaxFloat32;
extern const SoftmaxKernels<double> kSoftmaxFloat64;

extern const KernelTable kTable = {
    KONV_STRING(KONV_ISA),
    &kPhilox,
    &kConv2dWinograd,
    &kWinogradKernelGradient,
    &kSpaceToDepth,
    {
        &kConv2dDirectFloat32,
        &kConv2dDepthwiseFloat32,
        &kRowsFloat32,
        &kPool2dFloat32,
        &kElementwiseFloat32,
        kActivationsFloat32,
        &kBatchNormFloat32,
        &kOptimizerFloat32,
        &kPeakFloat32,
        &kDropoutFloat32,
        &kSoftmaxFloat32,
    },
    {
        &kConv2dDirectFloat64,
        &kConv2dDepthwiseFloat64,
        &kRowsFloat64,
        &kPool2dFloat64,
        &kElementwiseFloat64,
        kActivationsFloat64,
        &kBatchNormFloat64,
        &kOptimizerFloat64,
        &kPeakFloat64,
        &kDropoutFloat64,
        &kSoftmaxFloat64,
    },
};

}  // namespace konv::cpu::KONV_ISA
