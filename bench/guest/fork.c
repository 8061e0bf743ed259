/* Processes: fork, exec of this program with the argument "child", exit, wait. */
#define WORKLOAD "fork"
#define EXITS_AS_CHILD
#include "start.h"
#include "linux.h"

#define CHILDREN 5

static void work_init(void) {
}

static struct outcome work_once(void) {
    u32 sum = 0;
    for (u32 i = 0; i < CHILDREN; i++) {
        long child = system_call(SYS_FORK, 0, 0, 0);
        if (child == 0) {
            const char *arguments[] = {program_path, "child", 0};
            system_call(SYS_EXECVE, (long)program_path, (long)arguments, 0);
            system_call(SYS_EXIT, 99, 0, 0);
        }
        sum = sum * 31 + (child > 0 ? (u32)(wait_child() >> 8 & 255) : 1);
    }
    return (struct outcome){sum, CHILDREN};
}
