/*
 * Indirect jumps and calls: an interpreter of a small stack machine, once with a switch (a table of jumps) and once
 * with a table of functions. The program it runs counts primes by a sieve.
 */
#define WORKLOAD "dispatch"
#include "start.h"

enum { PUSH, LOAD, STORE, FETCH, POKE, ADD, LESS, IF_ZERO, JUMP, STOP };
#define LIMIT 400

/* Each instruction is a code and an operand. Variables: 0 number, 1 multiple, 2 primes. Memory: which have a divisor. */
static const u16 code[] = {
    PUSH, 2,      STORE, 0,     /* 0: number = 2 */
    LOAD, 0,      PUSH, LIMIT,  /* 2: while number < LIMIT */
    LESS, 0,      IF_ZERO, 28,  /* 4 */
    LOAD, 0,      FETCH, 0,     /* 6: if it has no divisor */
    IF_ZERO, 10,  JUMP, 23,     /* 8 */
    LOAD, 2,      PUSH, 1,      /* 10: primes++ */
    ADD, 0,       STORE, 2,     /* 12 */
    LOAD, 0,      STORE, 1,     /* 14: multiple = number */
    LOAD, 1,      PUSH, LIMIT,  /* 16: while multiple < LIMIT */
    LESS, 0,      IF_ZERO, 23,  /* 18 */
    JUMP, 29,     STOP, 0,      /* 20 */
    STOP, 0,                    /* 22 */
    LOAD, 0,      PUSH, 1,      /* 23: number++ */
    ADD, 0,       STORE, 0,     /* 25 */
    JUMP, 2,                    /* 27 */
    STOP, 0,                    /* 28 */
    PUSH, 1,      LOAD, 1,      /* 29: memory[multiple] = 1 */
    POKE, 0,      LOAD, 1,      /* 31 */
    LOAD, 0,      ADD, 0,       /* 33: multiple += number */
    STORE, 1,     JUMP, 16,     /* 35 */
};

static u32 stack[16], variables[3], steps;
static u8 memory[LIMIT];

static void clear(void) {
    for (u32 i = 0; i < LIMIT; i++) memory[i] = 0;
    variables[2] = 0;
}

__attribute__((noinline)) static u32 by_switch(void) {
    u32 *top = stack;
    for (const u16 *at = code;; at += 2) {
        steps++;
        u32 operand = at[1];
        switch (at[0]) {
        case PUSH: *top++ = operand; break;
        case LOAD: *top++ = variables[operand]; break;
        case STORE: variables[operand] = *--top; break;
        case FETCH: top[-1] = memory[top[-1]]; break;
        case POKE: top -= 2; memory[top[1]] = (u8)top[0]; break;
        case ADD: top--; top[-1] += top[0]; break;
        case LESS: top--; top[-1] = top[-1] < top[0]; break;
        case IF_ZERO: if (*--top == 0) at = code + 2 * operand - 2; break;
        case JUMP: at = code + 2 * operand - 2; break;
        default: return variables[2];
        }
    }
}

struct machine {
    u32 *top;
    const u16 *at;
};
typedef int (*handler)(struct machine *, u32);

static int on_push(struct machine *m, u32 n) { *m->top++ = n; return 1; }
static int on_load(struct machine *m, u32 n) { *m->top++ = variables[n]; return 1; }
static int on_store(struct machine *m, u32 n) { variables[n] = *--m->top; return 1; }
static int on_fetch(struct machine *m, u32 n) { (void)n; m->top[-1] = memory[m->top[-1]]; return 1; }
static int on_poke(struct machine *m, u32 n) { (void)n; m->top -= 2; memory[m->top[1]] = (u8)m->top[0]; return 1; }
static int on_add(struct machine *m, u32 n) { (void)n; m->top--; m->top[-1] += m->top[0]; return 1; }
static int on_less(struct machine *m, u32 n) { (void)n; m->top--; m->top[-1] = m->top[-1] < m->top[0]; return 1; }
static int on_if_zero(struct machine *m, u32 n) { if (*--m->top == 0) m->at = code + 2 * n - 2; return 1; }
static int on_jump(struct machine *m, u32 n) { m->at = code + 2 * n - 2; return 1; }
static int on_stop(struct machine *m, u32 n) { (void)m, (void)n; return 0; }
static const handler handlers[] = {on_push, on_load, on_store, on_fetch, on_poke, on_add, on_less, on_if_zero, on_jump, on_stop};

__attribute__((noinline)) static u32 by_table(void) {
    struct machine machine = {stack, code};
    do {
        steps++;
        if (!handlers[machine.at[0]](&machine, machine.at[1])) return variables[2];
        machine.at += 2;
    } while (1);
}

static void work_init(void) {
}

static struct outcome work_once(void) {
    steps = 0;
    clear();
    u32 first = by_switch();
    clear();
    u32 second = by_table();
    return (struct outcome){first << 16 | second, steps};
}
