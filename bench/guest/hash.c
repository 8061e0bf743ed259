/*
 * Two hashes of a buffer: FNV-1a byte by byte (a chain of dependent multiplications), and one that takes words of
 * four bytes with rotations and multiplications, in the manner of MurmurHash.
 */
#define WORKLOAD "hash"
#include "start.h"

#define BYTES 65536
#define PRIME 16777619u
#define BASIS 2166136261u

static u8 bytes[BYTES];

__attribute__((noinline)) static u32 by_byte(const u8 *at, u32 length) {
    u32 hash = BASIS;
    while (length--) hash = (hash ^ *at++) * PRIME;
    return hash;
}

static u32 rotate(u32 value, u32 by) {
    return value << by | value >> (32 - by);
}

__attribute__((noinline)) static u32 by_word(const u8 *at, u32 length, u32 seed) {
    u32 hash = seed;
    for (u32 i = 0; i + 4 <= length; i += 4) {
        u32 word = *(const u32 *)(at + i);
        hash ^= rotate(word * 0x85ebca77u, 15) * 0xc2b2ae3du;
        hash = rotate(hash, 13) * 5 + 0x27d4eb2fu;
    }
    hash ^= length;
    hash = (hash ^ hash >> 16) * 0x85ebca77u;
    hash = (hash ^ hash >> 13) * 0xc2b2ae3du;
    return hash ^ hash >> 16;
}

static void work_init(void) {
    u32 random = 5;
    for (u32 i = 0; i < BYTES; i++) {
        random = random * 1664525u + 1013904223u;
        bytes[i] = (u8)(random >> 24);
    }
}

static struct outcome work_once(void) {
    u32 sum = by_byte(bytes, BYTES);
    for (u32 i = 0; i < 3; i++) sum = by_word(bytes, BYTES, sum + i);
    return (struct outcome){sum, 4 * BYTES};
}
