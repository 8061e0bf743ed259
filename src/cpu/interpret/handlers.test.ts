/** How many handlers the interpreter keeps. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { GuestMachine } from "../system/testing/guest-machine.ts";

const MOST = 20;
/** A block of the processor has at most 48 instructions, and an end. */
const ONE_BLOCK = 49;
const ROUNDS = 3;
const REGISTERS = ["ax", "cx", "dx", "bx", "si", "di"];
const OPERATIONS = ["add", "or", "adc", "sbb", "and", "sub", "xor", "mov", "cmp", "test"];

/** A hundred instructions of which many need a handler of their own, between jumps that end blocks. */
const SHAPES = OPERATIONS.flatMap((operation, i) => {
  const register = REGISTERS[i % REGISTERS.length] as string;
  return [
    `${operation} ${register},${register}`,
    `${operation} e${register},e${register}`,
    `${operation} ${register},[0x3000]`,
    `${operation} e${register},[0x3000]`,
    `${operation} e${register},[bx+si]`,
    `${operation} al,cl`,
    `${operation} byte ptr [0x3000],7`,
    `${operation} word ptr [0x3000],7`,
    `jmp next${i}`,
    `next${i}:`,
  ];
});
const PROGRAM = `
  again:
    ${SHAPES.join("\n")}
    inc word ptr [0x3100]
    cmp word ptr [0x3100],${ROUNDS}
    jnz again
    hlt`;

test("a guest that uses more kinds of instructions than are kept goes on as if all were", () => {
  const results = [undefined, MOST].map((most) => {
    const machine = new GuestMachine(most === undefined ? {} : { mostHandlers: most });
    machine.load(PROGRAM);
    let largest = 0;
    let kind = "budget";
    for (let i = 0; i < 1000 && kind === "budget"; i++) {
      ({ kind } = machine.processor.run(20));
      largest = Math.max(largest, machine.processor.statistics.handlers);
    }
    assert.equal(kind, "halted");
    assert.equal(machine.ram.getUint16(0x3100, true), ROUNDS);
    const { registers } = machine.processor;
    return { largest, state: [0, 1, 2, 3, 6, 7].map((i) => registers.gpr(i)), memory: machine.ram.getUint32(0x3000) };
  });
  const [all, few] = results as [(typeof results)[0], (typeof results)[0]];
  assert.ok(all.largest > MOST + ONE_BLOCK, `${all.largest}`);
  assert.ok(few.largest <= MOST + ONE_BLOCK, `${few.largest}`);
  assert.deepEqual(few.state, all.state);
  assert.equal(few.memory, all.memory);
});
