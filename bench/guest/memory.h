/* Vectors of 16 bytes that may lie anywhere, as the C library's functions on memory use them. */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <emmintrin.h>

__attribute__((unused)) static __m128i load(const void *from) {
    return _mm_loadu_si128((const __m128i *)from);
}

__attribute__((unused)) static void store(void *to, __m128i value) {
    _mm_storeu_si128((__m128i *)to, value);
}

#endif
