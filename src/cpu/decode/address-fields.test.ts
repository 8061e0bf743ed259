import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../isa/assemble.ts";
import { addressFields } from "./address-fields.ts";
import { decode } from "./decoder.ts";

const ADDRESS = -0x7edc_ba98n;

/** What the fields of an instruction say, read from where they are said to be. */
function fieldsOf(text: string) {
  const { bytes } = assemble(text, { bits: 64, origin: 0x10_0000n });
  const decoded = decode(Uint8Array.from(bytes), 0, bytes.length, { long: true, code32: false }, () => true);
  assert.ok(typeof decoded !== "string", text);
  const view = new DataView(Uint8Array.from(bytes).buffer);
  const read = (field: { at: number; size: 4 | 8; value: bigint } | undefined) => {
    if (field === undefined) return undefined;
    const there = field.size === 4 ? BigInt(view.getInt32(field.at, true)) : view.getBigInt64(field.at, true);
    assert.equal(there, field.value, text);
    return there;
  };
  const { displacement, immediate } = addressFields(decoded);
  return { displacement: read(displacement), immediate: read(immediate) };
}

test("addresses of a kernel are found where they are in an instruction's bytes", () => {
  const [displacement, immediate] = [ADDRESS, ADDRESS];
  for (const [text, expected] of [
    [`mov rdi, ${ADDRESS}`, { displacement: undefined, immediate }],
    [`movabs rdi, ${ADDRESS}`, { displacement: undefined, immediate }],
    [`cmp qword ptr [rax + 8], ${ADDRESS}`, { displacement: undefined, immediate }],
    [`mov rax, qword ptr [rax*8 + ${ADDRESS}]`, { displacement, immediate: undefined }],
    [`cmp byte ptr [rbx + ${ADDRESS}], 7`, { displacement, immediate: undefined }],
    [`mov qword ptr [rbx + ${ADDRESS}], ${ADDRESS}`, { displacement, immediate }],
    [`shl dword ptr [${ADDRESS}], 5`, { displacement, immediate: undefined }],
    [`imul rax, qword ptr [rbx], ${ADDRESS}`, { displacement: undefined, immediate }],
    // Neither distances nor other numbers are.
    [`mov rax, qword ptr [rip + ${ADDRESS}]`, { displacement: undefined, immediate: undefined }],
    ["mov rdi, -0x3fffffff", { displacement: undefined, immediate: undefined }],
    ["mov rax, qword ptr [rbx - 16]", { displacement: undefined, immediate: undefined }],
  ] as const) {
    assert.deepEqual(fieldsOf(text), expected, text);
  }
});
