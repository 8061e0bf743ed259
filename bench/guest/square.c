/*
 * Moves a white square of 32 pixels across a frame buffer of 1024x768 pixels of 32 bits, 60 times a second:
 *
 *     square FILE MILLISECONDS
 *
 * It waits for a byte, or the end of its input, before it begins.
 */
#define NO_LOOP
#include "start.h"

#ifdef __x86_64__
#define SYS_OPEN 2
#define SYS_LSEEK 8
#define SYS_NANOSLEEP 35
#else
#define SYS_OPEN 5
#define SYS_LSEEK 19
#define SYS_NANOSLEEP 162
#endif
#define O_RDWR 2
#define WIDTH 1024
#define SIDE 32
#define STEP 4
#define TOP 400
#define FRAMES_A_SECOND 60

/* A row of the square with what it leaves behind on its left. */
static u32 row[STEP + SIDE];

__attribute__((used, noreturn)) static void program(long *stack) {
    char **arguments = (char **)(stack + 1);
    int failed = stack[0] != 3;
    u32 frames = 0;

    for (u32 i = STEP; i < STEP + SIDE; i++) row[i] = 0xffffff;
    begin_line("square");
    wait_for_byte();
    struct measured start = measure_start();
    if (!failed) {
        int file = (int)system_call(SYS_OPEN, (long)arguments[1], O_RDWR, 0);
        long limit = parse(arguments[2]), passed;
        while (!failed && (passed = milliseconds(since(start.start, CLOCK_MONOTONIC))) < limit) {
            u32 x = frames++ * STEP % (WIDTH - STEP - SIDE);
            for (u32 y = TOP; y < TOP + SIDE; y++) {
                system_call(SYS_LSEEK, file, (y * WIDTH + x) * 4, 0);
                failed |= system_call(SYS_WRITE, file, (long)row, sizeof row) != sizeof row;
            }
            long wait = (passed * FRAMES_A_SECOND / 1000 + 1) * 1000 / FRAMES_A_SECOND - passed;
            struct time pause = {0, wait * 1000000};
            system_call(SYS_NANOSLEEP, (long)&pause, 0, 0);
        }
    }
    end_line("square", failed, frames, start, (struct outcome){0, frames});
    for (;;) system_call(SYS_EXIT, failed, 0, 0);
}
