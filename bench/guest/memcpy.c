/*
 * Copies of 1 to 8192 bytes between unaligned places, as the C library does them: 16 bytes at a time, the last
 * ones overlapping; words for what is shorter.
 */
#define WORKLOAD "memcpy"
#include "start.h"
#include "memory.h"

#define ROOM 65536

static u8 from[ROOM], to[ROOM];

__attribute__((noinline)) static void copy(u8 *target, const u8 *source, u32 size) {
    if (size >= 16) {
        vector last = load(source + size - 16);
        u32 at = 0;
        for (; at + 64 <= size; at += 64) {
            vector a = load(source + at), b = load(source + at + 16), c = load(source + at + 32), d = load(source + at + 48);
            store(target + at, a);
            store(target + at + 16, b);
            store(target + at + 32, c);
            store(target + at + 48, d);
        }
        for (; at + 16 <= size; at += 16) store(target + at, load(source + at));
        store(target + size - 16, last);
    } else if (size >= 4) {
        u32 last = *(const u32 *)(source + size - 4);
        for (u32 at = 0; at + 4 <= size; at += 4) *(u32 *)(target + at) = *(const u32 *)(source + at);
        *(u32 *)(target + size - 4) = last;
    } else {
        for (u32 at = 0; at < size; at++) target[at] = source[at];
    }
}

static void work_init(void) {
    for (u32 i = 0; i < ROOM; i++) from[i] = (u8)(i * 7 + (i >> 8));
}

static struct outcome work_once(void) {
    u32 random = 9, copied = 0, sum = 0;
    for (u32 i = 0; i < 400; i++) {
        random = random * 1664525u + 1013904223u;
        /* As many sizes of each magnitude. */
        u32 size = 1 + (random >> 8) % (1u << (i % 14));
        u32 source = (random >> 3) % (ROOM - 8192), target = (random >> 11) % (ROOM - 8192);
        copy(to + target, from + source, size);
        sum = (sum ^ to[target] ^ (u32)to[target + size - 1] << 8) * 0x9e3779b1u;
        copied += size;
    }
    return (struct outcome){sum, copied};
}
