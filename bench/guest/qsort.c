/*
 * Quicksort with a comparison that is called through a pointer, as the C library's qsort does it: unpredictable
 * branches, indirect calls, swaps in memory. Records of 16 bytes by a 32-bit key.
 */
#define WORKLOAD "qsort"
#include "start.h"

#define RECORDS 4096

struct record {
    u32 key, payload[3];
};

static struct record records[RECORDS];
static u32 comparisons;

typedef int (*compare)(const struct record *, const struct record *);

__attribute__((noinline)) static int by_key(const struct record *a, const struct record *b) {
    comparisons++;
    return a->key < b->key ? -1 : a->key > b->key;
}

/* Whoever looks at the loop does not know which function it is. */
static compare volatile order = by_key;

static void swap(struct record *a, struct record *b) {
    struct record held = *a;
    *a = *b;
    *b = held;
}

__attribute__((noinline)) static void sort(struct record *first, struct record *last, compare less) {
    while (last - first > 8) {
        struct record *middle = first + (last - first) / 2;
        if (less(middle, first) < 0) swap(middle, first);
        if (less(last, first) < 0) swap(last, first);
        if (less(last, middle) < 0) swap(last, middle);
        struct record pivot = *middle, *low = first, *high = last;
        while (low <= high) {
            while (less(low, &pivot) < 0) low++;
            while (less(&pivot, high) < 0) high--;
            if (low <= high) swap(low++, high--);
        }
        sort(first, high, less);
        first = low;
    }
    for (struct record *next = first + 1; next <= last; next++) {
        struct record held = *next, *at = next;
        for (; at > first && less(&held, at - 1) < 0; at--) *at = at[-1];
        *at = held;
    }
}

static void work_init(void) {
}

static struct outcome work_once(void) {
    u32 random = 1, sum = 0;
    comparisons = 0;
    for (u32 i = 0; i < RECORDS; i++) {
        random = random * 1664525u + 1013904223u;
        records[i] = (struct record){random >> 4, {i, random, i ^ random}};
    }
    sort(records, records + RECORDS - 1, order);
    for (u32 i = 0; i < RECORDS; i++) sum = (sum ^ records[i].key ^ records[i].payload[0]) * 0x9e3779b1u;
    return (struct outcome){sum, comparisons};
}
