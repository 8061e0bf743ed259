/*
 * Reads or writes a disk past the page cache, one request at a time, without flushes:
 *
 *     disk read|write FILE BYTES-EACH MEBIBYTES MILLISECONDS sequential|random
 *
 * What is written is what the disk's first bytes hold, so that these stay as they are: the checksum of the first 4 KiB
 * is a sign of the right disk. It waits for a byte before it begins.
 */
#define NO_LOOP
#include "start.h"

#ifdef __x86_64__
#define SYS_OPEN 2
#define SYS_LSEEK 8
#else
#define SYS_OPEN 5
#define SYS_LSEEK 19
#endif
#define O_RDWR 2
#define O_DIRECT 0x4000
#define LARGEST (1 << 20)

static u8 buffer[LARGEST] __attribute__((aligned(4096)));

static int transfer_at(int number, int file, u32 offset, u32 size) {
    return system_call(SYS_LSEEK, file, (long)offset, 0) == (long)offset &&
           system_call(number, file, (long)buffer, (long)size) == (long)size;
}

__attribute__((used, noreturn)) static void program(long *stack) {
    char **arguments = (char **)(stack + 1);
    int failed = stack[0] != 7;
    u32 iterations = 0, hash = 2166136261u, random = 1, next = 0;

    begin_line("disk");
    wait_for_byte();
    struct measured start = measure_start();
    if (!failed) {
        int number = arguments[1][0] == 'w' ? SYS_WRITE : SYS_READ;
        int file = (int)system_call(SYS_OPEN, (long)arguments[2], O_RDWR | O_DIRECT, 0);
        u32 size = (u32)parse(arguments[3]), blocks = ((u32)parse(arguments[4]) << 20) / size;
        long limit = parse(arguments[5]);
        int sequential = arguments[6][0] == 's';
        failed = file < 0 || size > LARGEST || size < 4096 || !transfer_at(SYS_READ, file, 0, size);
        for (u32 i = 0; i < 4096; i++) hash = (hash ^ buffer[i]) * 16777619u;
        start = measure_start();
        while (!failed && milliseconds(since(start.start, CLOCK_MONOTONIC)) < limit) {
            random = random * 1664525 + 1013904223;
            u32 block = sequential ? next++ % blocks : (random >> 8) % blocks;
            failed = !transfer_at(number, file, block * size, size);
            iterations++;
        }
    }
    end_line("disk", failed, iterations, start, (struct outcome){hash, 1});
    for (;;) system_call(SYS_EXIT, failed, 0, 0);
}
