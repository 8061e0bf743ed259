/*
 * Runs another program a given number of times and writes the same two lines as the programs of this directory:
 *
 *     repeat NAME TIMES PROGRAM [ARGUMENT]...
 *
 * The checksum is FNV-1a of all that the program wrote to its standard output the first time; a run that writes
 * something else, or fails, is told of. It waits for a byte before it begins. The processor time that it tells is
 * that of the program.
 */
#define NO_LOOP
#include "start.h"
#include "linux.h"

#define BUFFER 65536

static u8 buffer[BUFFER];
static int failed;

static struct outcome run(char **arguments, char **environment) {
    int output[2];
    u32 hash = 2166136261u, bytes = 0;
    system_call(SYS_PIPE, (long)output, 0, 0);
    long child = system_call(SYS_FORK, 0, 0, 0);
    if (child == 0) {
        system_call(SYS_DUP2, output[1], 1, 0);
        system_call(SYS_CLOSE, output[0], 0, 0);
        system_call(SYS_CLOSE, output[1], 0, 0);
        system_call(SYS_EXECVE, (long)arguments[0], (long)arguments, (long)environment);
        system_call(SYS_EXIT, 127, 0, 0);
    }
    system_call(SYS_CLOSE, output[1], 0, 0);
    for (long got; (got = system_call(SYS_READ, output[0], (long)buffer, BUFFER)) > 0;) {
        for (long i = 0; i < got; i++) hash = (hash ^ buffer[i]) * 16777619u;
        bytes += (u32)got;
    }
    system_call(SYS_CLOSE, output[0], 0, 0);
    if (child < 0 || wait_child() != 0) failed = 1;
    return (struct outcome){hash, bytes};
}

__attribute__((used, noreturn)) static void program(long *stack) {
    long count = stack[0];
    char **arguments = (char **)(stack + 1), **environment = arguments + count + 1;
    u32 times = count > 3 ? (u32)parse(arguments[2]) : 0, done = 0;
    struct outcome first = {0, 0};

    begin_line(count > 1 ? arguments[1] : "repeat");
    wait_for_byte();
    struct measured measured = measure_start();
    for (; done < times && !failed; done++) {
        struct outcome outcome = run(arguments + 3, environment);
        if (done == 0) first = outcome;
        if (outcome.checksum != first.checksum || outcome.work != first.work) failed = 1;
    }
    end_line(count > 1 ? arguments[1] : "repeat", failed || times == 0, done, measured, first);
    for (;;) system_call(SYS_EXIT, failed, 0, 0);
}
