// A consumer in a template, inlined.
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

namespace app {
template <class T> struct Queue {
  std::mutex m;
  std::condition_variable c;
  bool any = false;
  __attribute__((noinline)) T take() {
    std::unique_lock<std::mutex> l(m);
    c.wait(l, [&] { return any; });
    return T();
  }
};
}  // namespace app

int main() {
  app::Queue<int> q;
  std::thread t([&] { q.take(); });
  std::puts("ready");
  std::fflush(stdout);
  t.join();
}
