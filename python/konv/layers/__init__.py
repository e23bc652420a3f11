"""`konv.layers`: layers with Keras's names, arguments, defaults, initial distributions and order of
weights."""

from konv.layers.activation import Activation, ReLU, Softmax
from konv.layers.base import Layer
from konv.layers.batch_normalization import BatchNormalization
from konv.layers.context import Context
from konv.layers.convolution import Conv2D
from konv.layers.dense import Dense
from konv.layers.depthwise_convolution import DepthwiseConv2D
from konv.layers.dropout import Dropout
from konv.layers.flatten import Flatten
from konv.layers.global_pooling import GlobalAveragePooling2D, GlobalMaxPooling2D
from konv.layers.input import Input, InputLayer
from konv.layers.merging import Add, Concatenate, add, concatenate
from konv.layers.padding import ZeroPadding2D
from konv.layers.pooling import AveragePooling2D, MaxPooling2D, SumPooling2D
from konv.layers.rescaling import Rescaling
from konv.layers.reshape import Reshape
from konv.layers.separable_convolution import SeparableConv2D
from konv.layers.transposed_convolution import Conv2DTranspose

# Keras's other names of the same classes.
AvgPool2D = AveragePooling2D
Convolution2D = Conv2D
Convolution2DTranspose = Conv2DTranspose
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalMaxPool2D = GlobalMaxPooling2D
MaxPool2D = MaxPooling2D
SeparableConvolution2D = SeparableConv2D

__all__ = [
    "Activation",
    "Add",
    "AveragePooling2D",
    "AvgPool2D",
    "BatchNormalization",
    "Concatenate",
    "Context",
    "Conv2D",
    "Conv2DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling2D",
    "Input",
    "InputLayer",
    "Layer",
    "MaxPool2D",
    "MaxPooling2D",
    "ReLU",
    "Rescaling",
    "Reshape",
    "SeparableConv2D",
    "SeparableConvolution2D",
    "Softmax",
    "SumPooling2D",
    "ZeroPadding2D",
    "add",
    "concatenate",
]


def __dir__() -> list[str]:
    return __all__
