// Error wording, shared by every driver.
//
// An error says what is wrong, what was expected and what was received, the op's name first:
//   conv2d: kernel has 3 input channels but x has 4 (x: (8, 32, 32, 4), kernel: (3, 3, 3, 16), groups=1)
// std::invalid_argument becomes ValueError in Python, OutOfMemory becomes MemoryError.
#pragma once

#include <cstdint>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace konv {

using Dims = std::vector<int64_t>;

class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::string message) : message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

// "(8, 32, 32, 4)", as Python prints a tuple.
template <class Container>
std::string tuple_text(const Container& values) {
  std::ostringstream out;
  out << '(';
  bool first = true;
  for (auto value : values) {
    out << (first ? "" : ", ") << value;
    first = false;
  }
  out << (values.size() == 1 ? ",)" : ")");
  return out.str();
}

template <class... Parts>
std::string concatenate(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

// 'name', in ASCII: an environment variable may hold any bytes, Python's messages may not.
inline std::string quoted(const std::string& text) {
  std::ostringstream out;
  out << "'" << std::hex;
  for (const unsigned char byte : text)
    byte >= ' ' && byte <= '~' ? out << byte : out << "\\x" << byte / 16 << byte % 16;
  out << "'";
  return out.str();
}

template <class... Parts>
[[noreturn]] void fail(const char* op, const Parts&... parts) {
  throw std::invalid_argument(concatenate(op, ": ", parts...));
}

}  // namespace konv
