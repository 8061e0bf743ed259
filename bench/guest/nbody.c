/*
 * Floating-point benchmark: bodies under their mutual gravitation, in double precision, by the symplectic Euler
 * method: additions, multiplications, a division and a square root for each pair. Built twice, for SSE2 and for
 * the x87; the checksum is the bits of the last positions, so that results must agree to the last bit.
 */
#ifdef __SSE_MATH__
#define WORKLOAD "nbody-sse"
#else
#define WORKLOAD "nbody-x87"
#endif
#include "start.h"

#define BODIES 5
#define STEPS 2000
#define TIME_STEP 0.001

struct body {
    double x, y, z, vx, vy, vz, mass;
};

/* A heavy one at rest and four that circle it on inclined orbits: the speed is the square root of 100 / radius. */
static const struct body beginning[BODIES] = {
    {0, 0, 0, 0, 0, 0, 100},
    {4, 0, 0.25, 0, 5, 0, 0.03},
    {0, 6.25, -0.5, -4, 0, 0.125, 0.01},
    {-16, 0, 1, 0, -2.5, 0, 0.005},
    {0, -25, 0, 2, 0, -0.25, 0.006},
};
static struct body bodies[BODIES];

static void advance(void) {
    for (int i = 0; i < BODIES; i++) {
        struct body *a = &bodies[i];
        for (int j = i + 1; j < BODIES; j++) {
            struct body *b = &bodies[j];
            double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
            double square = dx * dx + dy * dy + dz * dz;
            double pull = TIME_STEP / (square * __builtin_sqrt(square));
            a->vx -= dx * b->mass * pull;
            a->vy -= dy * b->mass * pull;
            a->vz -= dz * b->mass * pull;
            b->vx += dx * a->mass * pull;
            b->vy += dy * a->mass * pull;
            b->vz += dz * a->mass * pull;
        }
    }
    for (int i = 0; i < BODIES; i++) {
        bodies[i].x += TIME_STEP * bodies[i].vx;
        bodies[i].y += TIME_STEP * bodies[i].vy;
        bodies[i].z += TIME_STEP * bodies[i].vz;
    }
}

static void work_init(void) {
}

static u32 fold(u32 sum, double value) {
    union {
        double value;
        u32 words[2];
    } bits = {value};
    return ((sum << 5 | sum >> 27) ^ bits.words[0]) * 0x9e3779b1u + bits.words[1];
}

static struct outcome work_once(void) {
    u32 sum = 0;
    for (int i = 0; i < BODIES; i++) bodies[i] = beginning[i];
    for (int step = 0; step < STEPS; step++) advance();
    for (int i = 0; i < BODIES; i++) {
        sum = fold(sum, bodies[i].x);
        sum = fold(sum, bodies[i].y);
        sum = fold(sum, bodies[i].z);
    }
    return (struct outcome){sum, STEPS * BODIES * (BODIES - 1) / 2};
}
