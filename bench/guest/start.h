/*
 * The start of a guest program that needs no C library: the entry point, system calls of Linux, output of numbers,
 * and the loop that repeats a piece of work for a given time. For x86-64 and i386; no 64-bit division,
 * which on i386 is a function of a library.
 *
 * A program defines WORKLOAD, `work_init` and `work_once`. It takes the milliseconds to run for as its argument
 * and writes two lines: "BENCH begin NAME" and "BENCH end NAME iterations=.. ns=.. cpu=.. checksum=.. work=..".
 * With the second argument "wait" it reads a byte between the first line and the work, so that whoever takes the
 * time can begin.
 * With EXITS_AS_CHILD it ends at once, with status 7, where its argument is "child". With NO_LOOP the program
 * defines its own `program`, which gets the stack as the kernel lays it out.
 */
#ifndef BENCH_START_H
#define BENCH_START_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

/* What one repetition gives: the same on every machine, and for every repetition. */
struct outcome {
    u32 checksum;
    /* Operations of the workload's own kind that were executed. */
    u32 work;
};

#ifndef NO_LOOP
static void work_init(void);
static struct outcome work_once(void);
#endif

/* "linux/time.h": the wall clock that never goes back, and the processor time of this process. */
#define CLOCK_MONOTONIC 1
#define CLOCK_PROCESS_CPUTIME_ID 2

struct time {
    long seconds, nanoseconds;
};

#ifdef __x86_64__
#define SYS_READ 0
#define SYS_WRITE 1
#define SYS_EXIT 60
#define SYS_CLOCK_GETTIME 228
#define SYS_GETRUSAGE 98

static long system_call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

/* The stack holds argc, argv...; the ABI wants it aligned to 16 before a call. */
__asm__(".globl _start\n"
        "_start: xor %ebp, %ebp\n"
        "mov %rsp, %rdi\n"
        "and $-16, %rsp\n"
        "call program\n");
#else
#define SYS_READ 3
#define SYS_WRITE 4
#define SYS_EXIT 1
#define SYS_CLOCK_GETTIME 265
#define SYS_GETRUSAGE 77

static long system_call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
    return result;
}

__asm__(".globl _start\n"
        "_start: xor %ebp, %ebp\n"
        "mov %esp, %eax\n"
        "and $-16, %esp\n"
        "sub $12, %esp\n"
        "push %eax\n"
        "call program\n");
#endif

static char line[160];
static u32 line_length;

static void put_text(const char *text) {
    while (*text) line[line_length++] = *text++;
}

static void put_number(u32 number, u32 base, u32 digits) {
    char reversed[12];
    u32 count = 0;
    do {
        reversed[count++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number || count < digits);
    while (count) line[line_length++] = reversed[--count];
}

static void put_time(struct time time) {
    if (time.seconds) {
        put_number(time.seconds, 10, 1);
        put_number(time.nanoseconds, 10, 9);
    } else {
        put_number(time.nanoseconds, 10, 1);
    }
}

/* One call for a line, so that nothing else comes between. */
static void put_line(void) {
    line[line_length++] = '\n';
    system_call(SYS_WRITE, 1, (long)line, line_length);
    line_length = 0;
}

/* Not a clock of Linux: the processor time of children that have ended. */
#define CHILDREN_CPU -1
#ifdef NO_LOOP
#define CPU_CLOCK CHILDREN_CPU
#else
#define CPU_CLOCK CLOCK_PROCESS_CPUTIME_ID
#endif

/* "linux/resource.h": user and system time, in seconds and microseconds, and fourteen counts. */
static struct time children_time(void) {
    long usage[4 + 14];
    system_call(SYS_GETRUSAGE, -1, (long)usage, 0);
    long microseconds = usage[1] + usage[3], over = microseconds >= 1000000;
    return (struct time){usage[0] + usage[2] + over, (microseconds - over * 1000000) * 1000};
}

static struct time now(long clock) {
    struct time time = {0, 0};
    if (clock == CHILDREN_CPU) return children_time();
    system_call(SYS_CLOCK_GETTIME, clock, (long)&time, 0);
    return time;
}

static struct time since(struct time start, long clock) {
    struct time time = now(clock);
    time.seconds -= start.seconds;
    time.nanoseconds -= start.nanoseconds;
    if (time.nanoseconds < 0) {
        time.seconds--;
        time.nanoseconds += 1000000000;
    }
    return time;
}

__attribute__((unused)) static long milliseconds(struct time time) {
    return time.seconds * 1000 + time.nanoseconds / 1000000;
}

static long parse(const char *text) {
    long number = 0;
    for (; text && *text >= '0' && *text <= '9'; text++) number = number * 10 + (*text - '0');
    return number;
}

struct measured {
    struct time start, start_cpu;
};

static struct measured measure_start(void) {
    return (struct measured){now(CLOCK_MONOTONIC), now(CPU_CLOCK)};
}

static void begin_line(const char *name) {
    put_text("BENCH begin ");
    put_text(name);
    put_line();
}

static void wait_for_byte(void) {
    char byte;
    system_call(SYS_READ, 0, (long)&byte, 1);
}

static void end_line(const char *name, int failed, u32 iterations, struct measured start, struct outcome outcome) {
    struct time elapsed = since(start.start, CLOCK_MONOTONIC), cpu = since(start.start_cpu, CPU_CLOCK);
    put_text(failed ? "BENCH failed " : "BENCH end ");
    put_text(name);
    put_text(" iterations=");
    put_number(iterations, 10, 1);
    put_text(" ns=");
    put_time(elapsed);
    put_text(" cpu=");
    put_time(cpu);
    put_text(" checksum=");
    put_number(outcome.checksum, 16, 8);
    put_text(" work=");
    put_number(outcome.work, 10, 1);
    put_line();
}

#ifndef NO_LOOP
static const char *program_path __attribute__((unused));

__attribute__((used, noreturn)) static void program(long *stack) {
    const char *argument = stack[0] > 1 ? (const char *)stack[2] : "1000";
    long limit = parse(argument);
    int failed = 0;
    u32 iterations = 0;
    struct outcome first = {0, 0};

    program_path = (const char *)stack[1];
#ifdef EXITS_AS_CHILD
    if (argument[0] == 'c') for (;;) system_call(SYS_EXIT, 7, 0, 0);
#endif
    work_init();
    begin_line(WORKLOAD);
    if (stack[0] > 2) wait_for_byte();
    struct measured start = measure_start();
    do {
        struct outcome outcome = work_once();
        if (iterations++ == 0) first = outcome;
        if (outcome.checksum != first.checksum || outcome.work != first.work) failed = 1;
    } while (!failed && milliseconds(since(start.start, CLOCK_MONOTONIC)) < limit);
    end_line(WORKLOAD, failed, iterations, start, first);
    for (;;) system_call(SYS_EXIT, failed, 0, 0);
}
#endif

/* What the compiler calls on its own where it copies or clears. */
__attribute__((used)) void *memcpy(void *to, const void *from, __SIZE_TYPE__ size) {
    void *result = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return result;
}

__attribute__((used)) void *memset(void *to, int value, __SIZE_TYPE__ size) {
    void *result = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
    return result;
}

#endif
