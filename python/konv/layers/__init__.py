"""`konv.layers`: layers with Keras's names, arguments, defaults, initial distributions and order of
weights."""

from konv.layers.activation import ReLU, Softmax
from konv.layers.base import Layer
from konv.layers.context import Context
from konv.layers.convolution import Conv2D
from konv.layers.dense import Dense
from konv.layers.flatten import Flatten
from konv.layers.input import Input
from konv.layers.pooling import AveragePooling2D, MaxPooling2D

__all__ = [
    "AveragePooling2D",
    "Context",
    "Conv2D",
    "Dense",
    "Flatten",
    "Input",
    "Layer",
    "MaxPooling2D",
    "ReLU",
    "Softmax",
]
