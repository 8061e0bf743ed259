/** What is taken out of a sequence before the host's processor runs it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TestCase } from "../../conformance/generate/test-case.ts";
import { Random } from "../../conformance/generate/values.ts";
import { FIELD, INPUT_SIZE, PLACE } from "../../conformance/record.ts";
import { STATUS_FLAG } from "../../conformance/undefined.ts";
import { fitSequence } from "./fit-sequence.ts";
import { Interpretation } from "./interpret.ts";

const interpretation = new Interpretation({ vendor: "other", has: () => true });
const START = PLACE.code + 0x40;

/** The sequence as it fits, and what comes of it. */
function fit(...units: string[]) {
  const input = new DataView(new ArrayBuffer(INPUT_SIZE));
  const state = new TestCase(64, new Random(1));
  state.begin(input, "integer", false);
  for (let i = 0; i < 16; i++) state.setGpr(i, BigInt(PLACE.window + 0x1000 - 64 * i));
  input.setBigUint64(FIELD.rip, BigInt(START), true);
  const found = fitSequence(interpretation, { bits: 64, start: START, units }, [input]);
  assert.ok(found);
  return { units: found.sequence.units, run: found.runs[0] };
}

test("a condition on undefined flags gets an instruction before it that defines them", () => {
  const { units } = fit("imul eax,ecx", "jp at3", "inc eax", "inc ecx");
  assert.match(units[0] as string, /^imul eax,ecx\n/);
});

test("a condition on two flags of which each alone makes no difference does, too", () => {
  // BSF defines ZF only, and leaves it clear: SF and OF decide.
  const { units } = fit("bsf eax,ecx", "jg at3", "inc eax", "inc ecx");
  assert.match(units[0] as string, /^bsf eax,ecx\n/);
});

test("flags that stay undefined to the end are not compared", () => {
  const { units, run } = fit("xor eax,eax", "and ecx,edx");
  assert.deepEqual(units, ["xor eax,eax", "and ecx,edx"]);
  assert.equal(run?.undefinedFlags, STATUS_FLAG.a);
});

test("loops without end, and instructions whose results differ from host to host, are left out", () => {
  assert.deepEqual(fit("inc eax", "jmp at0", "inc ecx").units, ["inc eax", "", "inc ecx"]);
  assert.deepEqual(fit("inc eax", "rdtsc", "inc ecx").units, ["inc eax", "", "inc ecx"]);
  assert.deepEqual(fit("inc eax", "syscall", "inc ecx").units, ["inc eax", "", "inc ecx"]);
});

test("what writes such an instruction into the code is left out with it", () => {
  const { units } = fit("mov byte ptr [at1+1],0x05", "db 0x0f,0x1f,0x00", "nop");
  assert.deepEqual(units, ["", "", "nop"]);
});
