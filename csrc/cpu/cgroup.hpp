// The control groups that limit this process, innermost first.
#pragma once

#include <string>
#include <vector>

namespace konv::cpu {

struct Cgroup {
  int version;         // 1 or 2
  std::string folder;  // with a slash at its end
};

// Those of a controller ("cpu", "memory") and their ancestors up to the mount: any ancestor's limit binds.
// Empty where the system has none.
std::vector<Cgroup> cgroups_of_process(const std::string& controller);

}  // namespace konv::cpu
