/** What becomes of decoded code when bytes beside it and in it are written. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { GuestMachine } from "../system/testing/guest-machine.ts";

/** Runs real-mode code to its HLT, and gives the bytes of records that are in use then. */
function run(program: string): { machine: GuestMachine; records: number } {
  const machine = new GuestMachine();
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

test("code that is written is decoded again, and what was there before never runs", () => {
  const { machine, records } = run(rounds("inc byte ptr [operand + 2]\n and byte ptr [operand + 2],0x7f"));
  let expected = 0;
  for (let round = 0, operand = 1; round < 400; round++, operand = (operand + 1) & 0x7f) expected += operand;
  assert.equal(machine.processor.registers.gpr32(3) & 0xffff, expected & 0xffff);
  assert.ok(records > 100 * ELSEWHERE.records);
});
