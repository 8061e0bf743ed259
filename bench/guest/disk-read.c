/*
 * Reads of a disk past the page cache, one at a time:
 *
 *     disk-read FILE BYTES-EACH MEBIBYTES MILLISECONDS sequential|random
 *
 * The checksum is of what was read at the start of the disk, as a sign of the right disk. It waits for a byte before it
 * begins.
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
#define O_DIRECT 0x4000
#define LARGEST (1 << 20)

static u8 buffer[LARGEST] __attribute__((aligned(4096)));

static int read_at(int file, u32 offset, u32 size) {
    return system_call(SYS_LSEEK, file, (long)offset, 0) == (long)offset &&
           system_call(SYS_READ, file, (long)buffer, (long)size) == (long)size;
}

__attribute__((used, noreturn)) static void program(long *stack) {
    char **arguments = (char **)(stack + 1);
    int failed = stack[0] != 6;
    u32 iterations = 0, hash = 2166136261u, random = 1, next = 0;

    begin_line("disk");
    wait_for_byte();
    struct measured start = measure_start();
    if (!failed) {
        int file = (int)system_call(SYS_OPEN, (long)arguments[1], O_DIRECT, 0);
        u32 size = (u32)parse(arguments[2]), blocks = ((u32)parse(arguments[3]) << 20) / size;
        long limit = parse(arguments[4]);
        int sequential = arguments[5][0] == 's';
        failed = file < 0 || size > LARGEST || !read_at(file, 0, 4096);
        for (u32 i = 0; i < 4096; i++) hash = (hash ^ buffer[i]) * 16777619u;
        start = measure_start();
        while (!failed && milliseconds(since(start.start, CLOCK_MONOTONIC)) < limit) {
            random = random * 1664525 + 1013904223;
            u32 block = sequential ? next++ % blocks : (random >> 8) % blocks;
            failed = !read_at(file, block * size, size);
            iterations++;
        }
    }
    end_line("disk", failed, iterations, start, (struct outcome){hash, iterations});
    for (;;) system_call(SYS_EXIT, failed, 0, 0);
}
