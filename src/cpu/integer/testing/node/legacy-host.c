/*
 * Executes 16-bit and 32-bit instructions on the processor of this computer, in compatibility mode.
 *
 * Standard input holds tests, standard output gets them as they are afterwards. 32-bit code has flat segments;
 * 16-bit code has a code segment at CODE and a data and stack segment at DATA that ends with the test's memory.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define CODE 0x10400000u
#define DATA 0x10500000u
#define MEMORY 1024
#define NO_VECTOR 0xffffffffu

struct test {
  uint32_t gpr[8];
  uint32_t flags;
  uint32_t vector; /* of the exception, NO_VECTOR for none */
  uint32_t error;
  uint32_t ip; /* of the instruction that faulted, or after the last */
  uint32_t bits;
  uint32_t length;
  uint8_t code[40];
  uint8_t memory[MEMORY];
};

/* At a fixed low address, so that 64-bit code reaches it without a register: see run. */
struct link {
  uint32_t gpr[8]; /* 0 */
  uint64_t flags;  /* 32 */
  uint64_t rsp;    /* 40 */
  uint32_t offset; /* 48 */
  uint16_t code_segment, unused;
  uint32_t data_segment; /* 56 */
};
#define LINK 0x10300000
#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)
#define AT(offset) TEXT(LINK) "+" TEXT(offset)

void run(void);
extern char comes_back[], ends[];

__asm__(
    ".text\n"
    "run:\n"
    "  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "  mov %rsp, " AT(40) "\n"
    "  pushq " AT(32) "; popfq\n"
    "  mov " AT(56) ", %eax; mov %eax, %ds; mov %eax, %es\n"
    "  mov " AT(0) ", %eax; mov " AT(4) ", %ecx; mov " AT(8) ", %edx; mov " AT(12) ", %ebx\n"
    "  mov " AT(20) ", %ebp; mov " AT(24) ", %esi; mov " AT(28) ", %edi\n"
    "  mov " AT(56) ", %ss; mov " AT(16) ", %esp\n"
    "  ljmp *" AT(48) "\n"
    "comes_back:\n"
    "  mov %eax, " AT(0) "; mov %ecx, " AT(4) "; mov %edx, " AT(8) "; mov %ebx, " AT(12) "\n"
    "  mov %esp, " AT(16) "; mov %ebp, " AT(20) "; mov %esi, " AT(24) "; mov %edi, " AT(28) "\n"
    "  mov $0x2b, %eax; mov %eax, %ss; mov " AT(40) ", %rsp\n"
    "  pushfq; popq " AT(32) "\n"
    "ends:\n"
    "  mov " AT(40) ", %rsp\n"
    "  mov $0x2b, %eax; mov %eax, %ds; mov %eax, %es\n"
    "  cld\n"
    "  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "  ret\n");

static struct test test;

/* An exception: what the handler sees is the state afterwards. */
static void on_signal(int signal, siginfo_t *info, void *data) {
  static const int registers[8] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI};
  greg_t *context = ((ucontext_t *)data)->uc_mcontext.gregs;
  struct link *link = (struct link *)LINK;
  (void)signal;
  (void)info;
  for (int i = 0; i < 8; i++) link->gpr[i] = context[registers[i]];
  link->flags = context[REG_EFL];
  test.vector = context[REG_TRAPNO];
  test.error = context[REG_ERR];
  test.ip = context[REG_RIP];
  context[REG_RIP] = (greg_t)ends;
  context[REG_EFL] = 0x202;
  context[REG_RSP] = link->rsp;
  context[REG_CSGSFS] = (context[REG_CSGSFS] & 0x0000ffffffff0000) | 0x33 | (0x2bull << 48);
}

static int segment(int number, uint32_t base, uint32_t limit, int contents) {
  struct user_desc entry = {
      .entry_number = number, .base_addr = base, .limit = limit, .contents = contents, .useable = 1};
  return syscall(SYS_modify_ldt, 1, &entry, sizeof entry);
}

static uint8_t *map(uint32_t address, uint32_t size, int protection) {
  void *pages = mmap((void *)(uintptr_t)address, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (pages == MAP_FAILED) exit(3);
  return pages;
}

static uint8_t *code, *memory;

/* Runs `test`. */
static void execute(void) {
  struct link *link = (struct link *)LINK;
  memcpy(link->gpr, test.gpr, sizeof test.gpr);
  memcpy(memory, test.memory, MEMORY);
  memcpy(code, test.code, test.length);
  /* jmp 0x33:comes_back, with a 32-bit offset */
  uint8_t *end = code + test.length;
  if (test.bits == 16) *end++ = 0x66;
  *end++ = 0xea;
  uint32_t offset = (uintptr_t)comes_back;
  memcpy(end, &offset, 4);
  end[4] = 0x33;
  end[5] = 0;
  link->flags = test.flags;
  link->offset = test.bits == 16 ? 0 : CODE;
  link->code_segment = test.bits == 16 ? 0x07 : 0x23;
  link->data_segment = test.bits == 16 ? 0x0f : 0x2b;
  test.vector = NO_VECTOR;
  test.error = 0;
  test.ip = link->offset + test.length;
  run();
  memcpy(test.gpr, link->gpr, sizeof test.gpr);
  test.flags = link->flags;
  memcpy(test.memory, memory, MEMORY);
}

/* Whether the host's kernel has such code run: some hypervisors have no such segments for their guests. */
static int runs(uint32_t bits) {
  memset(&test, 0, sizeof test);
  test.flags = 0x202;
  test.bits = bits;
  test.length = 1;
  test.code[0] = 0x90; /* nop */
  execute();
  return test.vector == NO_VECTOR;
}

int main(void) {
  stack_t stack = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
  sigaltstack(&stack, NULL);
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  int signals[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGTRAP};
  for (int i = 0; i < 5; i++) sigaction(signals[i], &action, NULL);
  if (segment(0, CODE, 0xffff, 2) != 0 || segment(1, DATA, MEMORY - 1, 0) != 0) return 2;
  map(LINK, 4096, PROT_READ | PROT_WRITE);
  code = map(CODE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
  memory = map(DATA, 4096, PROT_READ | PROT_WRITE);
  if (!runs(16) || !runs(32)) return 2;
  while (fread(&test, sizeof test, 1, stdin) == 1) {
    execute();
    fwrite(&test, sizeof test, 1, stdout);
  }
  return 0;
}
