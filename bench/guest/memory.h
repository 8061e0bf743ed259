/*
 * Vectors of 16 bytes that may lie anywhere, as the C library's functions on memory use them. The compiler's own
 * functions: its headers for them need a C library's.
 */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

typedef char vector __attribute__((vector_size(16)));

/* MOVDQU. */
__attribute__((unused)) static vector load(const void *from) {
    return __builtin_ia32_loaddqu(from);
}

__attribute__((unused)) static void store(void *to, vector value) {
    __builtin_ia32_storedqu(to, value);
}

/* A bit for each byte of `value` that is 0: PCMPEQB, PMOVMSKB. */
__attribute__((unused)) static u32 zero_bytes(vector value) {
    return (u32)__builtin_ia32_pmovmskb128(value == (vector){0});
}

#endif
