/*
 * Integer benchmark: what compiled C does most. Four parts, each of about a quarter of the instructions:
 *   - a linked list in scattered order: filled, searched, reversed, merge-sorted (dependent loads, calls, branches)
 *   - a product of two matrices (loops over arrays, multiplication)
 *   - a state machine over text: which tokens are integers, fractions, exponents or hexadecimal (switches)
 *   - a CRC-32 by table, and bit by bit (shifts, table lookups)
 * Each part's result enters the CRC of the next, so that none can be left out.
 */
#define WORKLOAD "integer"
#include "start.h"

#define NODES 1024
#define SIDE 40
#define TEXT 32768
#define CRC_BYTES 20000
#define POLYNOMIAL 0xedb88320u

struct node {
    struct node *next;
    u32 key;
    u16 value, mark;
};

static struct node nodes[NODES];
static int left[SIDE][SIDE], right[SIDE][SIDE], product[SIDE][SIDE];
static u8 text[TEXT + 1];
static u32 crc_table[256];
static u32 work;

/* Numerical Recipes' linear congruential generator. */
static u32 random_state;
static u32 random_number(void) {
    random_state = random_state * 1664525u + 1013904223u;
    return random_state >> 8;
}

static u32 crc_step(u32 crc) {
    return crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
}

static u32 crc_bits(u32 crc, u32 byte) {
    crc ^= byte;
    for (u32 bit = 0; bit < 8; bit++) crc = crc_step(crc);
    return crc;
}

static u32 crc_word(u32 crc, u32 word) {
    for (u32 i = 0; i < 4; i++, word >>= 8) crc = crc >> 8 ^ crc_table[(crc ^ word) & 255];
    return crc;
}

static struct node *build(u32 seed) {
    struct node *head = 0;
    random_state = seed;
    /* A stride without a factor of NODES visits all of them, none beside the one before. */
    for (u32 i = 0, at = 0; i < NODES; i++, at = (at + 389) % NODES) {
        struct node *node = &nodes[at];
        node->key = random_number() & 0xffff;
        node->value = (u16)(random_number() & 0x3ff);
        node->mark = 0;
        node->next = head;
        head = node;
    }
    work += NODES;
    return head;
}

static struct node *find(struct node *node, u32 value) {
    while (node && node->value != value) {
        node = node->next;
        work++;
    }
    return node;
}

static struct node *reverse(struct node *node) {
    struct node *reversed = 0;
    while (node) {
        struct node *next = node->next;
        node->next = reversed;
        reversed = node;
        node = next;
        work++;
    }
    return reversed;
}

static struct node *merge(struct node *a, struct node *b) {
    struct node *head = 0, **end = &head;
    while (a && b) {
        struct node **smaller = a->key <= b->key ? &a : &b;
        *end = *smaller;
        end = &(*smaller)->next;
        *smaller = (*smaller)->next;
        work++;
    }
    *end = a ? a : b;
    return head;
}

__attribute__((noinline)) static struct node *sort(struct node *list, u32 length) {
    if (length < 2) {
        if (list) list->next = 0;
        return list;
    }
    struct node *middle = list;
    for (u32 i = 0; i < length / 2; i++) middle = middle->next;
    struct node *second = sort(middle, length - length / 2);
    struct node *before = list;
    for (u32 i = 1; i < length / 2; i++) before = before->next;
    before->next = 0;
    return merge(sort(list, length / 2), second);
}

__attribute__((noinline)) static u32 list_part(u32 crc) {
    struct node *list = build(7);
    for (u32 i = 0; i < 40; i++) {
        struct node *found = find(list, (i * 37) & 0x3ff);
        if (found) found->mark++;
        list = reverse(list);
    }
    list = sort(list, NODES);
    for (struct node *node = list; node; node = node->next) crc = crc_word(crc, node->key + node->mark);
    return crc;
}

__attribute__((noinline)) static u32 matrix_part(u32 crc) {
    random_state = 11;
    for (u32 i = 0; i < SIDE; i++) {
        for (u32 j = 0; j < SIDE; j++) {
            left[i][j] = (int)(random_number() & 0xff) - 128;
            right[i][j] = (int)(random_number() & 0xff) - 128;
        }
    }
    for (u32 i = 0; i < SIDE; i++) {
        for (u32 j = 0; j < SIDE; j++) {
            int sum = 0;
            for (u32 k = 0; k < SIDE; k++) sum += left[i][k] * right[k][j];
            product[i][j] = sum;
        }
    }
    work += SIDE * SIDE * SIDE;
    for (u32 i = 0; i < SIDE; i++) crc = crc_word(crc, (u32)product[i][(i * 7) % SIDE]);
    return crc;
}

enum state { START, SIGN, ZERO, INTEGER, POINT, FRACTION, E, E_SIGN, EXPONENT, X, HEX, INVALID, STATES };

static int is_digit(u32 c) {
    return c - '0' < 10;
}

static enum state step(enum state state, u32 c) {
    switch (state) {
    case START:
        if (c == '+' || c == '-') return SIGN;
        return c == '0' ? ZERO : is_digit(c) ? INTEGER : c == '.' ? POINT : INVALID;
    case SIGN:
        return c == '0' ? ZERO : is_digit(c) ? INTEGER : c == '.' ? POINT : INVALID;
    case ZERO:
        if (c == 'x') return X;
        /* fall through */
    case INTEGER:
        return is_digit(c) ? INTEGER : c == '.' ? FRACTION : c == 'e' ? E : INVALID;
    case POINT:
        return is_digit(c) ? FRACTION : INVALID;
    case FRACTION:
        return is_digit(c) ? FRACTION : c == 'e' ? E : INVALID;
    case E:
        return c == '+' || c == '-' ? E_SIGN : is_digit(c) ? EXPONENT : INVALID;
    case E_SIGN:
    case EXPONENT:
        return is_digit(c) ? EXPONENT : INVALID;
    case X:
    case HEX:
        return is_digit(c) || c - 'a' < 6 ? HEX : INVALID;
    default:
        return INVALID;
    }
}

__attribute__((noinline)) static u32 state_part(u32 crc) {
    u32 ends[STATES] = {0};
    enum state state = START;
    for (const u8 *at = text; *at; at++) {
        if (*at == ' ') {
            ends[state]++;
            state = START;
        } else {
            state = step(state, *at);
        }
    }
    work += TEXT;
    for (u32 i = 0; i < STATES; i++) crc = crc_word(crc, ends[i]);
    return crc;
}

__attribute__((noinline)) static u32 crc_part(u32 crc) {
    u32 bits = crc;
    for (u32 i = 0; i < CRC_BYTES; i++) crc = crc >> 8 ^ crc_table[(crc ^ text[i % TEXT]) & 255];
    for (u32 i = 0; i < CRC_BYTES / 8; i++) bits = crc_bits(bits, text[i]);
    work += CRC_BYTES + CRC_BYTES / 8;
    return crc ^ bits;
}

static void work_init(void) {
    static const char *const tokens[] = {"5012", "1234.5", "-874", "+122", ".1234e+12", "-0.5e-7", "0x1f3a", "0", "T0.3e",
                                         "+a2", "0xg", "77e", "3.14159265", "00012", "-", "900000001"};
    random_state = 3;
    for (u32 at = 0; at < TEXT;) {
        for (const char *c = tokens[random_number() & 15]; *c && at < TEXT; c++) text[at++] = (u8)*c;
        if (at < TEXT) text[at++] = ' ';
    }
    text[TEXT] = 0;
    for (u32 i = 0; i < 256; i++) crc_table[i] = crc_bits(0, i);
}

static struct outcome work_once(void) {
    work = 0;
    u32 crc = list_part(0xffffffffu);
    crc = matrix_part(crc);
    crc = state_part(crc);
    crc = crc_part(crc);
    return (struct outcome){~crc, work};
}
