// Linux: /proc/self/cgroup names the groups, /sys/fs/cgroup is where they are mounted.
#include "cpu/cgroup.hpp"

#include <fstream>

namespace konv::cpu {

std::vector<Cgroup> cgroups_of_process(const std::string& controller) {
  std::vector<Cgroup> groups;
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // "0::/path", or "9:cpu,cpuacct:/path" in version 1
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const int version = controllers == ",," ? 2 : 1;
    if (version == 1 && controllers.find("," + controller + ",") == std::string::npos) continue;
    const std::string mount = version == 2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/" + controller;
    std::string path = line.substr(second + 1);
    if (path == "/") path.clear();
    for (;;) {
      groups.push_back({version, mount + path + "/"});
      const size_t parent = path.find_last_of('/');
      if (parent == std::string::npos) break;
      path.erase(parent);
    }
  }
  return groups;
}

}  // namespace konv::cpu
