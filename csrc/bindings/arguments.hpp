// Translation of the arguments that konv.ops passes (see python/konv/_core.pyi).
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <variant>

#include "core/conv2d_shape.hpp"

namespace konv::bindings {

// "valid", "same" or (top, bottom, left, right)
using PaddingArgument = std::variant<std::string, std::array<int64_t, 4>>;

inline Padding to_padding(const char* op, const PaddingArgument& argument) {
  if (const auto* pads = std::get_if<std::array<int64_t, 4>>(&argument))
    return {Padding::Mode::kExplicit, *pads};
  const std::string& name = std::get<std::string>(argument);
  if (name == "valid") return {Padding::Mode::kValid, {}};
  if (name == "same") return {Padding::Mode::kSame, {}};
  fail(op, "padding must be 'valid', 'same' or explicit pads, received '", name, "'");
}

}  // namespace konv::bindings
