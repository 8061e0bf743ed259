/** Code that writes code. @spec SDM 3A 8.1.3, 11.6: the processor sees stores to its own code at once */
import assert from "node:assert/strict";
import { test } from "node:test";
import { entryAddress, type Mode, PTE, run, SCRATCH } from "./kernel.ts";

const MODES: readonly Mode[] = ["real", "protected", "paged", "pae", "long"];
const PAGED: readonly Mode[] = ["paged", "pae", "long"];
/** Address of a label as an operand. */
const at = (mode: Mode, label: string, offset = 0) => `[${mode === "long" ? "rel " : ""}${label}+${offset}]`;
const low = (value: bigint) => Number(value & 0xffffn);

for (const mode of MODES) {
  test(`${mode}: a store changes the next instruction`, () => {
    const kernel = run(mode, `mov byte ptr ${at(mode, "next", 1)},0x77\n next: mov bl,0x11\n hlt`);
    assert.equal(low(kernel.gpr(3)) & 0xff, 0x77);
  });

  test(`${mode}: a store changes the middle and the end of the block that runs`, () => {
    const program = `
      xor bx,bx
      mov byte ptr ${at(mode, "third", 1)},0x77
      mov bl,1
      mov bh,2
    third:
      mov cl,0x11
      mov byte ptr ${at(mode, "last", 1)},0x66
    last:
      mov dl,0x11
      hlt`;
    const kernel = run(mode, program);
    assert.deepEqual(
      [3, 1, 2].map((index) => low(kernel.gpr(index)) & 0xff),
      [1, 0x77, 0x66],
    );
  });

  // The immediate byte of "add bx,0" lies behind opcode and ModR/M, and a prefix outside of 16-bit code.
  test(`${mode}: code that ran before is seen changed, in each round of a loop`, () => {
    const program = `
      xor bx,bx
      mov cx,200
    again:
      inc byte ptr ${at(mode, "patched", mode === "real" ? 2 : 3)}
    patched:
      add bx,0
      dec cx
      jnz again
      hlt`;
    const kernel = run(mode, program);
    const sum = Array.from({ length: 200 }, (_, i) => ((i + 1) << 24) >> 24).reduce((a, b) => a + b, 0);
    assert.equal(low(kernel.gpr(3)), sum & 0xffff);
  });

  test(`${mode}: a subroutine is replaced while its caller goes on`, () => {
    const program = `
      xor bx,bx
      call routine
      mov byte ptr ${at(mode, "routine")},0xc3
      call routine
      hlt
    routine:
      nop
      add bl,1
      ret`;
    assert.equal(low(run(mode, program).gpr(3)) & 0xff, 1);
  });

  test(`${mode}: a string instruction writes code that then runs`, () => {
    const [di, si, cx] =
      mode === "long" ? ["rdi", "rsi", "rcx"] : mode === "real" ? ["di", "si", "cx"] : ["edi", "esi", "ecx"];
    const program = `
      cld
      mov ${di},target
      mov ${si},source
      mov ${cx},source_end-source
      call target
      rep movsb
      call target
      hlt
    source:
      mov bl,0x42
      ret
    source_end:
    target:
      mov bh,0x24
      ret
      times 8 db 0x90`;
    assert.equal(low(run(mode, program).gpr(3)), 0x2442);
  });

  test(`${mode}: an instruction that overwrites itself is still carried out once as it was`, () => {
    const kernel = run(mode, `mov bl,1\n self: mov byte ptr ${at(mode, "self")},0xf4\n mov bl,2\n hlt`);
    assert.equal(low(kernel.gpr(3)) & 0xff, 2);
  });
}

for (const mode of PAGED) {
  const linear = 0x4000_0000;
  const [jump, ax] = mode === "long" ? ["rax", "rax"] : ["eax", "eax"];
  const open = PTE.P | PTE.RW | PTE.US;

  test(`${mode}: a store through another linear address is seen`, () => {
    const program = `
      mov eax,${linear}
      call ${jump}
      mov byte ptr [${SCRATCH + 1}],0x77
      mov eax,${linear}
      call ${jump}
      hlt`;
    const kernel = run(mode, program, {
      setup(kernel) {
        kernel.map(linear, SCRATCH | open);
        // mov bl,0x11; ret
        [0xb3, 0x11, 0xc3].forEach((byte, i) => kernel.ram.setUint8(SCRATCH + i, byte));
      },
    });
    assert.equal(Number(kernel.gpr(3) & 0xffn), 0x77);
  });

  test(`${mode}: an instruction across two pages follows changes to the second`, () => {
    const program = `
      mov eax,${linear + 0xffe}
      call ${jump}
      mov esi,ebx
      mov dword ptr [${linear + 0x1000}],0xc3445566
      mov eax,${linear + 0xffe}
      call ${jump}
      hlt`;
    const kernel = run(mode, program, {
      setup(kernel) {
        kernel.map(linear, SCRATCH | open);
        kernel.map(linear + 0x1000, (SCRATCH + 0x5000) | open);
        // mov ebx,0x44332211; ret
        [0xbb, 0x11].forEach((byte, i) => kernel.ram.setUint8(SCRATCH + 0xffe + i, byte));
        [0x22, 0x33, 0x44, 0xc3].forEach((byte, i) => kernel.ram.setUint8(SCRATCH + 0x5000 + i, byte));
      },
    });
    assert.equal(kernel.gpr(6), 0x4433_2211n);
    assert.equal(kernel.gpr(3), 0x4455_6611n);
  });

  test(`${mode}: other code runs at an address whose page was exchanged`, () => {
    const program = `
      mov eax,${linear}
      call ${jump}
      mov esi,ebx
      mov dword ptr [${entryAddress(mode, linear)}],${(SCRATCH + 0x1000) | open}
      invlpg [${linear}]
      mov eax,${linear}
      call ${jump}
      mov ${ax},0
      hlt`;
    const setup: NonNullable<Parameters<typeof run>[2]>["setup"] = (kernel) => {
      kernel.map(linear, SCRATCH | open);
      for (const [page, value] of [
        [0, 0x11],
        [0x1000, 0x22],
      ] as const) {
        // mov ebx,value; ret
        [0xbb, value, 0, 0, 0, 0xc3].forEach((byte, i) => kernel.ram.setUint8(SCRATCH + page + i, byte));
      }
    };
    const kernel = run(mode, program, { setup });
    assert.deepEqual([kernel.gpr(6), kernel.gpr(3)], [0x11n, 0x22n]);
  });
}
