/* String instructions with REP prefixes: MOVS, STOS, SCAS and CMPS, of bytes and of words, forward and backward. */
#define WORKLOAD "string"
#include "start.h"

#define ROOM 16384

static u8 from[ROOM], to[ROOM];

static u32 scan(const u8 *at, u8 byte, long most) {
    const u8 *start = at;
    __asm__ volatile("repne scasb" : "+D"(at), "+c"(most) : "a"(byte) : "memory", "cc");
    return (u32)(at - start);
}

static long compare(const u8 *a, const u8 *b, long most) {
    __asm__ volatile("repe cmpsb" : "+S"(a), "+D"(b), "+c"(most) : : "memory", "cc");
    return most;
}

static void move_words(void *target, const void *source, long words) {
    __asm__ volatile("rep movsl" : "+D"(target), "+S"(source), "+c"(words) : : "memory");
}

static void move_backward(u8 *target, const u8 *source, long bytes) {
    target += bytes - 1;
    source += bytes - 1;
    __asm__ volatile("std\nrep movsb\ncld" : "+D"(target), "+S"(source), "+c"(bytes) : : "memory", "cc");
}

static void fill_words(void *target, u32 word, long words) {
    __asm__ volatile("rep stosl" : "+D"(target), "+c"(words) : "a"(word) : "memory");
}

static void work_init(void) {
    for (u32 i = 0; i < ROOM; i++) from[i] = (u8)(1 + i % 199);
}

static struct outcome work_once(void) {
    u32 sum = 0;
    for (u32 i = 0; i < 24; i++) {
        u32 size = 16u << (i % 9);
        fill_words(to, 0x01010101u * i, ROOM / 4);
        move_words(to + i, from, size / 4);
        memcpy(to + 8192 + i, from + i, size);
        move_backward(to + 100, to + 96, size);
        sum = (sum ^ scan(to + 8192 + i, 199, ROOM / 2 - i)) * 0x9e3779b1u;
        sum = (sum ^ (u32)compare(to + 8192 + i, from + i, size + 1)) * 0x9e3779b1u;
        sum = (sum ^ to[size / 2] ^ (u32)to[100] << 8) * 0x9e3779b1u;
    }
    return (struct outcome){sum, 24};
}
