/*
 * Executes single instructions on the processor of this computer.
 *
 * Standard input holds groups: number of code bytes and number of states (32 bits each), 16 bytes of code, then the
 * states; standard output gets the states as they are afterwards. Code finds RDI pointing at the state's memory and
 * may use the registers that a state has.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

struct state {
  uint8_t xmm[4][16]; /* 0 */
  uint8_t mm[4][8];   /* 64 */
  uint64_t gpr[4];    /* 96: RAX, RCX, RDX, RBX */
  uint64_t flags;     /* 128 */
  uint32_t mxcsr;     /* 136 */
  uint32_t fault;     /* 140: vector of the exception, 0 for none */
  uint8_t memory[64]; /* 144 */
  uint8_t padding[16];
} __attribute__((aligned(16)));

void run(struct state *state, void *code);

__asm__(
    ".text\n"
    "run:\n"
    "  push %rbx; push %rbp; push %r12; push %r13; push %r14\n"
    "  mov %rdi, %r12\n"
    "  mov %rsi, %r13\n"
    "  movdqu 0(%r12), %xmm0; movdqu 16(%r12), %xmm1; movdqu 32(%r12), %xmm2; movdqu 48(%r12), %xmm3\n"
    "  movq 64(%r12), %mm0; movq 72(%r12), %mm1; movq 80(%r12), %mm2; movq 88(%r12), %mm3\n"
    "  mov 96(%r12), %rax; mov 104(%r12), %rcx; mov 112(%r12), %rdx; mov 120(%r12), %rbx\n"
    "  lea 144(%r12), %rdi\n"
    "  ldmxcsr 136(%r12)\n"
    "  pushq 128(%r12); popfq\n"
    "  call *%r13\n"
    "  pushfq; popq 128(%r12)\n"
    "  stmxcsr 136(%r12)\n"
    "  mov %rax, 96(%r12); mov %rcx, 104(%r12); mov %rdx, 112(%r12); mov %rbx, 120(%r12)\n"
    "  movq %mm0, 64(%r12); movq %mm1, 72(%r12); movq %mm2, 80(%r12); movq %mm3, 88(%r12)\n"
    "  movdqu %xmm0, 0(%r12); movdqu %xmm1, 16(%r12); movdqu %xmm2, 32(%r12); movdqu %xmm3, 48(%r12)\n"
    "  emms\n"
    "  pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "  ret\n");

static sigjmp_buf afterwards;
static struct state *current;

/* An exception: what the handler sees is the state afterwards. */
static void on_signal(int signal, siginfo_t *info, void *data) {
  ucontext_t *context = data;
  (void)info;
  memcpy(current->xmm, context->uc_mcontext.fpregs->_xmm, sizeof current->xmm);
  current->mxcsr = context->uc_mcontext.fpregs->mxcsr;
  current->gpr[0] = context->uc_mcontext.gregs[REG_RAX];
  current->gpr[1] = context->uc_mcontext.gregs[REG_RCX];
  current->gpr[2] = context->uc_mcontext.gregs[REG_RDX];
  current->flags = context->uc_mcontext.gregs[REG_EFL];
  current->fault = signal == SIGFPE ? 19 : signal == SIGILL ? 6 : 13;
  siglongjmp(afterwards, 1);
}

int main(void) {
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
  sigaction(SIGFPE, &action, NULL);
  sigaction(SIGILL, &action, NULL);
  sigaction(SIGSEGV, &action, NULL);
  uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED) return 2;
  struct {
    uint32_t length, count;
    uint8_t code[16];
  } group;
  while (fread(&group, sizeof group, 1, stdin) == 1) {
    struct state *states = aligned_alloc(16, group.count * sizeof(struct state));
    if (!states || fread(states, sizeof(struct state), group.count, stdin) != group.count) return 3;
    memcpy(code, group.code, group.length);
    code[group.length] = 0xc3;
    for (uint32_t i = 0; i < group.count; i++) {
      current = &states[i];
      if (sigsetjmp(afterwards, 1) == 0) run(current, code);
    }
    fwrite(states, sizeof(struct state), group.count, stdout);
    free(states);
  }
  return 0;
}
