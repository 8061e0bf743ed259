/** What becomes of decoded code when bytes beside it and in it are written. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { GuestMachine } from "../system/testing/guest-machine.ts";

/** Runs real-mode code to its HLT, and gives the bytes of records that are in use then. */
function run(program: string, options = {}): { machine: GuestMachine; records: number } {
  const machine = new GuestMachine(options);
  machine.load(program);
  for (let i = 0; i < 1000 && machine.processor.run(50).kind !== "halted"; i++);
  return { machine, records: machine.processor.statistics.recordBytes };
}

const rounds = (body: string) => `
    mov cx,400
    xor dx,dx
  again:
    call code
    ${body}
    loop again
    hlt
  code:
    inc dx
  operand:
    add bx,1
    ret
  data:
    dw 0,0,0,0`;

const ELSEWHERE = run(rounds("inc word ptr [0x5000]"));

test("code is not decoded again for data that is written right beside it", () => {
  const { machine, records } = run(rounds("inc word ptr [data]"));
  assert.equal(machine.processor.registers.gpr32(2) & 0xffff, 400);
  assert.equal(records, ELSEWHERE.records);
});

test("code that is written runs as it is then, and what was there before never does", () => {
  const { machine, records } = run(rounds("inc byte ptr [operand + 2]\n and byte ptr [operand + 2],0x7f"));
  let expected = 0;
  for (let round = 0, operand = 1; round < 400; round++, operand = (operand + 1) & 0x7f) expected += operand;
  assert.equal(machine.processor.registers.gpr32(3) & 0xffff, expected & 0xffff);
  // Where only operands change, its records serve again.
  assert.ok(records < 3 * ELSEWHERE.records);
});

test("code that becomes other instructions of the same length is decoded as what it is", () => {
  // ADD BX,imm8 and SUB BX,imm8 in turns: a bit of the ModR/M byte; every other time the operand is another one, too.
  const body = `xor byte ptr [operand + 1],0x28
    test cx,2
    jnz same
    inc byte ptr [operand + 2]
    and byte ptr [operand + 2],0x7f
  same:`;
  const { machine } = run(rounds(body));
  let expected = 0;
  let operand = 1;
  for (let round = 400; round > 0; round--) {
    expected += round % 2 === 0 ? operand : -operand;
    if ((round & 2) === 0) operand = (operand + 1) & 0x7f;
  }
  assert.equal(machine.processor.registers.gpr32(3) & 0xffff, expected & 0xffff);
});

test("code that becomes longer or shorter instructions is decoded as what it is", () => {
  // MOV AX,imm16 (B8) becomes MOV AL,imm8 (B0) and another instruction, INC BX (43), in what were its last bytes.
  const { machine } = run(`
    mov cx,100
    xor bx,bx
    xor dx,dx
  again:
    call code
    add dx,ax
    xor byte ptr [code],8
    loop again
    hlt
  code:
    mov ax,0x4301
    ret`);
  assert.equal(machine.processor.registers.gpr32(3) & 0xffff, 50);
});

test("code that is written as it is already is not decoded again", () => {
  const elsewhere = run(rounds("mov byte ptr [0x5000],1"));
  const { machine, records } = run(rounds("mov byte ptr [operand + 2],1"));
  assert.equal(machine.processor.registers.gpr32(3) & 0xffff, 400);
  assert.equal(records, elsewhere.records);
});

test("a block that lies on pieces of two pages goes when either is written", () => {
  const { machine } = run(`
    mov cx,100
    xor bx,bx
  again:
    call code
    inc byte ptr [first + 2]
    and byte ptr [first + 2],3
    call code
    inc byte ptr [second + 2]
    and byte ptr [second + 2],3
    loop again
    hlt
    times 0x1f80 - ($ - $$) nop
  code:
    times 0x7c nop
  first:
    add bx,0
  second:
    add bx,0
    ret`);
  let expected = 0;
  for (let round = 0, first = 0, second = 0; round < 100; round++) {
    expected += first + second;
    first = (first + 1) & 3;
    expected += first + second;
    second = (second + 1) & 3;
  }
  assert.equal(machine.processor.registers.gpr32(3) & 0xffff, expected & 0xffff);
});

test("regions write beside code in place, and what they write over is not run any more", () => {
  for (const body of [
    "inc word ptr [data]",
    "inc word ptr [data]\n inc byte ptr [operand + 2]\n and byte ptr [operand + 2],0x7f",
    // Across the end of a piece of 64 bytes that has code.
    "inc dword ptr [across - 2]",
  ]) {
    const program = `${rounds(body)}\n times 0x1180 - ($ - $$) - 0x1000 nop\n across:\n dd 0`;
    const [translated, interpreted] = [{ translates: true, heat: 1 }, {}].map(
      (options) => run(program, options).machine,
    );
    const seen = [translated, interpreted].map((machine) => {
      const { ram, processor } = machine as GuestMachine;
      const memory = Buffer.from(ram.buffer, ram.byteOffset + 0x1000, 0x200).toString("hex");
      return [[0, 1, 2, 3].map((index) => processor.registers.gpr32(index)), memory];
    });
    assert.deepEqual(seen[0], seen[1]);
    assert.ok((translated?.processor.statistics.translated.regions ?? 0) > 0, "regions were made");
  }
});
