#include <stdio.h>
__attribute__((noinline)) static void store(int *to) { *to = 1; }
int main(void) {
  puts("ready");
  fflush(stdout);
  getchar();
  store(0);
  return 0;
}
