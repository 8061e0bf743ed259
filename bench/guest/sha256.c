/* SHA-256 of a buffer of 16 KiB. FIPS 180-4, 4.2.2, 5.3.3 and 6.2. */
#define WORKLOAD "sha256"
#include "start.h"

#define BYTES 16384
#define BLOCK 64

static u8 message[BYTES + BLOCK];
/* The first 32 bits of the fractions of the cube roots, and square roots, of the first primes. */
static const u32 constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};
static const u32 initial[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static u32 rotate(u32 value, u32 by) {
    return value >> by | value << (32 - by);
}

__attribute__((noinline)) static void block(u32 *state, const u8 *bytes) {
    u32 w[64];
    for (u32 t = 0; t < 16; t++) {
        w[t] = (u32)bytes[4 * t] << 24 | (u32)bytes[4 * t + 1] << 16 | (u32)bytes[4 * t + 2] << 8 | bytes[4 * t + 3];
    }
    for (u32 t = 16; t < 64; t++) {
        u32 x = w[t - 15], y = w[t - 2];
        w[t] = (rotate(y, 17) ^ rotate(y, 19) ^ y >> 10) + w[t - 7] + (rotate(x, 7) ^ rotate(x, 18) ^ x >> 3) + w[t - 16];
    }
    u32 a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    for (u32 t = 0; t < 64; t++) {
        u32 one = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + constants[t] + w[t];
        u32 two = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + one, d = c, c = b, b = a, a = one + two;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

static void work_init(void) {
    for (u32 i = 0; i < BYTES; i++) message[i] = (u8)(i * 31 + (i >> 7));
    message[BYTES] = 0x80;
    message[BYTES + BLOCK - 2] = (u8)(BYTES * 8 >> 8);
    message[BYTES + BLOCK - 3] = (u8)(BYTES * 8 >> 16);
    message[BYTES + BLOCK - 1] = (u8)(BYTES * 8);
}

static struct outcome work_once(void) {
    u32 state[8];
    for (u32 i = 0; i < 8; i++) state[i] = initial[i];
    for (u32 at = 0; at < BYTES + BLOCK; at += BLOCK) block(state, message + at);
    /* The digest's first word. */
    return (struct outcome){state[0], BYTES + BLOCK};
}
