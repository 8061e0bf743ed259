/* Further system calls of Linux, for programs that measure the kernel's part of the processor. */
#ifndef BENCH_LINUX_H
#define BENCH_LINUX_H

#ifdef __x86_64__
#define SYS_MUNMAP 11
#define SYS_PIPE 22
#define SYS_GETPPID 110
#define SYS_FORK 57
#define SYS_EXECVE 59
#define SYS_WAIT4 61
#define SYS_CLOSE 3
#define SYS_DUP2 33
#define SYS_MMAP 9
#else
#define SYS_MUNMAP 91
#define SYS_PIPE 42
#define SYS_GETPPID 64
#define SYS_FORK 2
#define SYS_EXECVE 11
#define SYS_WAIT4 114
#define SYS_CLOSE 6
#define SYS_DUP2 63
#define SYS_MMAP 90
#endif

#define PROT_READ_WRITE 3
#define MAP_PRIVATE_ANONYMOUS 0x22

static inline u8 *map_memory(long size) {
#ifdef __x86_64__
    long result;
    register long flags __asm__("r10") = MAP_PRIVATE_ANONYMOUS;
    register long file __asm__("r8") = -1;
    register long offset __asm__("r9") = 0;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_MMAP), "D"(0), "S"(size), "d"(PROT_READ_WRITE), "r"(flags), "r"(file), "r"(offset)
                     : "rcx", "r11", "memory");
    return (u8 *)result;
#else
    /* The old call takes its six arguments in memory. */
    long arguments[6] = {0, size, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0};
    return (u8 *)system_call(SYS_MMAP, (long)arguments, 0, 0);
#endif
}

/* Waits for a child; its status. */
static inline int wait_child(void) {
    int status = -1;
#ifdef __x86_64__
    register long usage __asm__("r10") = 0;
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_WAIT4), "D"(-1), "S"(&status), "d"(0), "r"(usage) : "rcx", "r11", "memory");
#else
    __asm__ volatile("push %%esi\nxor %%esi, %%esi\nint $0x80\npop %%esi" : : "a"(SYS_WAIT4), "b"(-1), "c"(&status), "d"(0) : "memory");
#endif
    return status;
}

#endif
