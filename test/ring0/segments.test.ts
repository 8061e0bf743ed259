/** Segment limits, types and privilege. @spec SDM 3A chapters 3 and 5 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { descriptor } from "../../src/cpu/system/testing/flat-cpu.ts";
import { attempt, exceptionsOf, run, SCRATCH, SELECTOR, show, toUser } from "./kernel.ts";

const FREE = SELECTOR.free;
const flat = { limit: 0xf_ffff, pages: true, big: true };
const load = (register: string, selector: number) => `mov ax,${selector}\n mov ${register},ax`;

/** Tries lines of code in protected mode. */
const tried = (lines: readonly string[], descriptors: Record<number, bigint>, before = ""): string[] =>
  exceptionsOf("protected", `${before}\n ${lines.map(attempt).join("")} hlt`, { descriptors });

test("an access must end at the segment's limit", () => {
  const descriptors = { [FREE]: descriptor({ base: SCRATCH, limit: 0x123, type: 2 }) };
  const accesses: [string, boolean][] = [
    ["mov al,[fs:0x123]", true],
    ["mov al,[fs:0x124]", false],
    ["mov ax,[fs:0x122]", true],
    ["mov ax,[fs:0x123]", false],
    ["mov eax,[fs:0x120]", true],
    ["mov eax,[fs:0x121]", false],
    ["mov dword ptr [fs:0x124],1", false],
    ["add dword ptr [fs:0x122],1", false],
    ["mov eax,[fs:0xffffffff]", false],
    ["movups xmm0,[fs:0x114]", true],
    ["movups xmm0,[fs:0x115]", false],
  ];
  const before = `${load("fs", FREE)}\n mov eax,cr4\n or eax,0x600\n mov cr4,eax`;
  const expected = accesses.filter(([, allowed]) => !allowed).map(() => "#13(0)");
  assert.deepEqual(
    tried(
      accesses.map(([line]) => line),
      descriptors,
      before,
    ),
    expected,
  );
});

test("with granularity the limit counts pages", () => {
  const descriptors = { [FREE]: descriptor({ base: SCRATCH, limit: 1, type: 2, pages: true }) };
  assert.deepEqual(tried(["mov al,[fs:0x1fff]", "mov al,[fs:0x2000]"], descriptors, load("fs", FREE)), ["#13(0)"]);
});

test("an expand-down segment has what is above its limit, to 64 KiB or 4 GiB by its B flag", () => {
  const descriptors = {
    [FREE]: descriptor({ base: 0, limit: 0xfff, type: 6 }),
    [FREE + 8]: descriptor({ base: 0, limit: 0xfff, type: 6, big: true }),
  };
  const lines = [
    "mov al,[fs:0xfff]",
    "mov al,[fs:0x1000]",
    "mov al,[fs:0xffff]",
    "mov ax,[fs:0xffff]",
    "mov al,[fs:0x10000]",
  ];
  assert.deepEqual(tried(lines, descriptors, load("fs", FREE)), ["#13(0)", "#13(0)", "#13(0)"]);
  assert.deepEqual(tried(lines, descriptors, load("fs", FREE + 8)), ["#13(0)"]);
});

test("what a segment is for follows from its type", () => {
  const descriptors = {
    [FREE]: descriptor({ ...flat, type: 0 }), // read-only data
    [FREE + 8]: descriptor({ ...flat, type: 0xa }), // readable code
    [FREE + 16]: descriptor({ ...flat, type: 8 }), // execute-only code
  };
  const at = `fs:${SCRATCH}`;
  const lines = [
    `${load("fs", FREE)}\n mov eax,[${at}]`,
    `mov [${at}],eax`,
    `${load("fs", FREE + 8)}\n mov eax,[${at}]`,
    `mov [${at}],eax`,
    `inc dword ptr [${at}]`,
    `mov eax,[cs:${SCRATCH}]`,
    `mov [cs:${SCRATCH}],eax`,
    load("fs", FREE + 16),
  ];
  assert.deepEqual(tried(lines, descriptors), ["#13(0)", "#13(0)", "#13(0)", "#13(0)", "#13(90)"]);
});

test("a null selector can be loaded in data segment registers, not be used, and not be loaded in SS", () => {
  const lines = [load("fs", 0), load("gs", 3), "mov eax,[fs:0]", "mov [gs:0],eax", load("ss", 0), load("ss", 3)];
  assert.deepEqual(tried(lines, {}), ["#13(0)", "#13(0)", "#13(0)", "#13(0)"]);
});

test("loading a segment register checks presence, type, privilege and the table's limit, and names the selector", () => {
  const descriptors = {
    [FREE]: descriptor({ ...flat, type: 2, present: false }),
    [FREE + 8]: descriptor({ ...flat, type: 2, dpl: 1 }),
    [FREE + 16]: descriptor({ ...flat, type: 0 }),
    [FREE + 24]: descriptor({ ...flat, type: 2, dpl: 3 }),
  };
  const lines = [
    load("fs", FREE),
    load("ss", FREE),
    load("ss", FREE + 8),
    load("ss", FREE + 9),
    load("fs", FREE + 8),
    load("fs", FREE + 10),
    load("ss", FREE + 16),
    load("ds", SELECTOR.tss),
    load("ds", 0x1000),
    load("ds", 0x14),
    load("fs", FREE + 27),
    load("ss", FREE + 24),
    load("ss", SELECTOR.code32),
  ];
  assert.deepEqual(tried(lines, descriptors), [
    "#11(80)",
    "#12(80)",
    "#13(88)",
    "#13(88)",
    "#13(88)",
    "#13(90)",
    "#13(40)",
    "#13(1000)",
    "#13(14)",
    "#13(98)",
    "#13(8)",
  ]);
});

test("a load that faults leaves the segment register as it was", () => {
  const kernel = run(
    "protected",
    `${load("fs", SELECTOR.userData)} ${attempt(load("fs", SELECTOR.tss))} mov ebx,fs\n hlt`,
  );
  assert.equal(kernel.gpr(3), BigInt(SELECTOR.userData));
});

test("loading a segment sets its accessed bit", () => {
  const descriptors = { [FREE]: descriptor({ ...flat, type: 2 }), [FREE + 8]: descriptor({ ...flat, type: 2 }) };
  const kernel = run("protected", `${load("fs", FREE)}\n hlt`, { descriptors });
  assert.equal(kernel.ram.getUint8(0x1_0000 + FREE + 5) & 1, 1);
  assert.equal(kernel.ram.getUint8(0x1_0000 + FREE + 8 + 5) & 1, 0);
});

test("beyond the stack's limit pushes and pops raise #SS(0) and leave ESP", () => {
  const descriptors = { [FREE]: descriptor({ base: SCRATCH, limit: 0xfff, type: 2, big: true, dpl: 3 }) };
  const tryAt = (esp: number, line: string) => attempt(`mov esp,${esp}\n ${line}`).replaceAll(" ss ", " ds ");
  const program = `
    ${load("ds", SELECTOR.userData)}
    push ${FREE + 3}
    push 0x1000
    push 2
    push ${SELECTOR.userCode32}
    push user
    iretd
  user:
    ${tryAt(0x1000, "push eax")}
    ${tryAt(0x1004, "push eax")}
    mov ebx,esp
    ${tryAt(0xffd, "pop eax")}
    ${tryAt(0xffc, "pop eax")}
    ${tryAt(0x1000, "mov ebp,esp\n mov eax,[ebp-3]")}
    ${tryAt(2, "push ax")}
    ${tryAt(2, "push eax")}
    ${tryAt(0x10, "pushad")}
    mov ecx,esp
    hlt`;
  const kernel = run("protected", program, { descriptors });
  assert.deepEqual(show(kernel.exceptions), ["#12(0)", "#12(0)", "#12(0)", "#12(0)", "#12(0)", "#13(0)"]);
  assert.equal(kernel.gpr(3), 0x1004n);
  assert.equal(kernel.gpr(1), 0x10n);
});

test("code must lie within its segment", () => {
  const limit = 0x1fff;
  const descriptors = { [FREE]: descriptor({ base: SCRATCH, limit, type: 0xa, big: true }) };
  const nops = 4;
  const kernel = run(
    "protected",
    `
    ${attempt(`jmp ${FREE}:${limit + 1}`)}
    ${attempt(`jmp ${FREE}:${limit + 1 - nops}`)}
    hlt`,
    {
      descriptors,
      setup: ({ ram }) => {
        for (let i = 0; i < 16; i++) ram.setUint8(SCRATCH + limit + 1 - nops + i, 0x90);
      },
    },
  );
  // The handler returns with the code segment of the fault: the second try ends there.
  assert.deepEqual(show(kernel.exceptions).slice(0, 2), ["#13(0)", "#13(0)"]);
  assert.deepEqual(
    kernel.exceptions
      .slice(0, 2)
      .map(({ ip, cs }) => [ip, cs])
      .at(1),
    [limit + 1, FREE],
  );
});

test("an instruction that reaches beyond its segment's limit does not run", () => {
  const limit = 0x1234;
  const descriptors = { [FREE]: descriptor({ base: SCRATCH, limit, type: 0xa, big: true }) };
  // nop; mov ebx,5, whose last byte lies beyond
  const code = [0x90, 0xbb, 5, 0, 0, 0];
  const start = limit + 2 - code.length;
  const kernel = run("protected", `mov ebx,1\n jmp ${FREE}:${start}`, {
    descriptors,
    setup: ({ ram }) => code.forEach((byte, i) => ram.setUint8(SCRATCH + start + i, byte)),
  });
  assert.deepEqual(show(kernel.exceptions), ["#13(0)"]);
  assert.equal(kernel.exceptions[0]?.ip, start + 1);
  assert.equal(kernel.gpr(3), 1n);
});

test("far jumps check type, presence and privilege of what they go to", () => {
  const descriptors = {
    [FREE]: descriptor({ ...flat, type: 0xa, present: false }),
    [FREE + 8]: descriptor({ ...flat, type: 0xa, dpl: 3 }),
    [FREE + 16]: descriptor({ ...flat, type: 0xe }), // conforming
  };
  const far = (selector: number) => {
    const label = `far${selector}`;
    return `jmp ${selector}:${label}\n ${label}:`;
  };
  const lines = [
    far(SELECTOR.data),
    far(FREE),
    far(FREE + 8),
    far(0),
    far(0xff8),
    far(FREE + 16),
    far(SELECTOR.code32 + 3),
  ];
  assert.deepEqual(tried(lines, descriptors), ["#13(10)", "#11(80)", "#13(88)", "#13(0)", "#13(ff8)", "#13(8)"]);
});

test("conforming code runs at its caller's privilege level", () => {
  const descriptors = { [FREE]: descriptor({ ...flat, type: 0xe }) };
  const program = `${toUser("protected", "user")}\n user: jmp ${FREE}:conforming\n conforming: mov ebx,cs\n hlt`;
  const kernel = run("protected", program, { descriptors });
  assert.deepEqual(show(kernel.exceptions), ["#13(0)"]);
  assert.equal(kernel.gpr(3), BigInt(FREE | 3));
});

test("real-mode operands end at 64 KiB: #GP, and #SS for the stack, without error codes", () => {
  const program = `
    mov word ptr [13*4],protection
    mov word ptr [12*4],stack
    mov bx,0xffff
    mov ax,[bx]
    mov bp,0xffff
    mov ax,[bp]
    hlt
  protection:
    add cx,1
    mov bp,sp
    mov dx,[bp+4]
    mov si,sp
    pop ax
    add ax,2
    push ax
    iret
  stack:
    mov di,sp
    hlt`;
  const kernel = run("real", program);
  assert.equal(kernel.gpr(1) & 0xffffn, 1n);
  assert.equal(kernel.gpr(2) & 2n, 2n, "the third word of the frame is FLAGS");
  assert.deepEqual(
    [6, 7].map((index) => kernel.gpr(index)),
    [0x8000n - 6n, 0x8000n - 6n],
  );
});
