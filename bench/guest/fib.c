/* Calls and returns: Fibonacci's numbers by their definition. */
#define WORKLOAD "fib"
#include "start.h"

__attribute__((noinline, optimize("no-optimize-sibling-calls", "no-inline"))) static u32 fib(u32 n) {
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static void work_init(void) {
}

static struct outcome work_once(void) {
    volatile u32 n = 22;
    u32 result = fib(n);
    /* fib(n) takes 2 * fib(n + 1) - 1 calls. */
    return (struct outcome){result, 57313};
}
