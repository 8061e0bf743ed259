/* System calls that do next to nothing in the kernel: entry and return. */
#define WORKLOAD "syscall"
#include "start.h"
#include "linux.h"

#define CALLS 1000

static void work_init(void) {
}

static struct outcome work_once(void) {
    long first = system_call(SYS_GETPPID, 0, 0, 0);
    u32 same = 0;
    for (u32 i = 0; i < CALLS; i++) same += system_call(SYS_GETPPID, 0, 0, 0) == first;
    return (struct outcome){same, CALLS};
}
