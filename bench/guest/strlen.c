/*
 * Lengths of strings of 0 to 2000 bytes, as the C library finds them: 16 bytes at a time from an aligned place,
 * PCMPEQB and PMOVMSKB; and byte by byte, as simple programs do.
 */
#define WORKLOAD "strlen"
#include "start.h"
#include "memory.h"

#define ROOM 65536

static u8 text[ROOM] __attribute__((aligned(16)));
static u32 starts[2048], count;

__attribute__((noinline)) static u32 length_by_vectors(const u8 *string) {
    const u8 *at = (const u8 *)((__UINTPTR_TYPE__)string & ~(__UINTPTR_TYPE__)15);
    u32 found = zero_bytes(load(at)) >> (string - at);
    if (found) return (u32)__builtin_ctz(found);
    for (;;) {
        at += 16;
        found = zero_bytes(load(at));
        if (found) return (u32)(at - string) + (u32)__builtin_ctz(found);
    }
}

__attribute__((noinline)) static u32 length_by_bytes(const u8 *string) {
    const u8 *at = string;
    while (*at) at++;
    return (u32)(at - string);
}

static void work_init(void) {
    u32 random = 4;
    for (u32 i = 0; i < ROOM; i++) text[i] = (u8)('a' + i % 26);
    for (u32 at = 0; at < ROOM - 2100 && count < 2048;) {
        random = random * 1664525u + 1013904223u;
        starts[count++] = at;
        at += (random >> 8) % (random & 7 ? 60 : 2000);
        text[at++] = 0;
    }
    text[ROOM - 1] = 0;
}

static struct outcome work_once(void) {
    u32 sum = 0, bytes = 0;
    for (u32 i = 0; i < count; i++) {
        u32 length = length_by_vectors(text + starts[i]);
        u32 again = (i & 7) == 0 ? length_by_bytes(text + starts[i]) : length;
        sum = (sum ^ length ^ again << 16) * 0x9e3779b1u;
        bytes += length;
    }
    return (struct outcome){sum, bytes};
}
