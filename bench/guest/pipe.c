/* Two processes that send a byte to and fro through pipes: switches of context. */
#define WORKLOAD "pipe"
#include "start.h"
#include "linux.h"

#define ROUNDS 50

static int there[2], back[2];

static void work_init(void) {
    system_call(SYS_PIPE, (long)there, 0, 0);
    system_call(SYS_PIPE, (long)back, 0, 0);
    if (system_call(SYS_FORK, 0, 0, 0) != 0) {
        system_call(SYS_CLOSE, there[0], 0, 0);
        return;
    }
    /* Until the other end is closed, with the other process's end. */
    system_call(SYS_CLOSE, there[1], 0, 0);
    u8 byte;
    while (system_call(SYS_READ, there[0], (long)&byte, 1) == 1) {
        byte = (u8)(byte * 5 + 1);
        system_call(SYS_WRITE, back[1], (long)&byte, 1);
    }
    system_call(SYS_EXIT, 0, 0, 0);
}

static struct outcome work_once(void) {
    u32 sum = 0;
    u8 byte = 1;
    for (u32 i = 0; i < ROUNDS; i++) {
        system_call(SYS_WRITE, there[1], (long)&byte, 1);
        if (system_call(SYS_READ, back[0], (long)&byte, 1) != 1) break;
        sum = sum * 31 + byte;
    }
    return (struct outcome){sum, ROUNDS};
}
