/* Page faults: memory that is mapped, touched page by page, and given back. */
#define WORKLOAD "fault"
#include "start.h"
#include "linux.h"

#define PAGES 256
#define PAGE 4096

static void work_init(void) {
}

static struct outcome work_once(void) {
    u32 sum = 0;
    u8 *memory = map_memory(PAGES * PAGE);
    for (u32 i = 0; i < PAGES; i++) {
        sum += memory[i * PAGE + i];
        memory[i * PAGE] = (u8)i;
    }
    for (u32 i = 0; i < PAGES; i++) sum = sum * 31 + memory[i * PAGE];
    system_call(SYS_MUNMAP, (long)memory, PAGES * PAGE, 0);
    return (struct outcome){sum, PAGES};
}
