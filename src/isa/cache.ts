/**
 * Caches and cached translations. Memory is always coherent, so that what writes caches back or empties them only
 * checks what the manual says it checks.
 */
import { declareFunction } from "./functions.ts";
import { type Feature, type Instruction, instruction } from "./instruction.ts";
import type { Operand } from "./semantics.ts";

/** (linear address): what follows may lie elsewhere then. */
const INVALIDATE_PAGE = declareFunction("invalidatePage", { in: "wasm", params: ["i64"] });
/** (type, low and high half of the descriptor). */
const INVALIDATE_CONTEXT = declareFunction("invalidateContext", {
  in: "host",
  params: ["i64", "i64", "i64"],
  faults: true,
});

const wholeCache = (name: string, opcode: string): Instruction =>
  instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [`0F ${opcode}`],
    feature: "486",
    privileged: true,
    meaning() {},
  });

export const INVD = wholeCache("invd", "08");
/** With an F3 prefix it is WBNOINVD, which does the same here. */
export const WBINVD = wholeCache("wbinvd", "09");

export const INVLPG = instruction("invlpg", {
  spec: "SDM 2, INVLPG",
  forms: ["0F 01 /7 M"],
  feature: "486",
  privileged: true,
  ends: true,
  meaning(o, operand) {
    o.call(INVALIDATE_PAGE, o.linearAddress(operand));
    o.transfer(o.nextIp());
  },
});

export const INVPCID = instruction("invpcid", {
  spec: "SDM 2, INVPCID",
  forms: ["66 0F 38 82 /r Gd,Mdq ; i64", "66 0F 38 82 /r Gq,Mdq ; o64"],
  feature: "invpcid",
  privileged: true,
  ends: true,
  meaning(o, type, descriptor) {
    const low = o.loadAt(descriptor, 0, 64);
    const high = o.loadAt(descriptor, 8, 64);
    o.call(INVALIDATE_CONTEXT, o.get(type).extendU(), low, high);
    o.endBlock();
  },
});

/** One line of the cache: faults as a read of a byte does. */
const cacheLine = (name: Feature & string, form: string): Instruction =>
  instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [form],
    feature: name,
    meaning(o, line: Operand) {
      o.loadAt(line, 0, 8);
    },
  });

export const CLFLUSH = cacheLine("clflush", "NP 0F AE /7 Mb");
export const CLFLUSHOPT = cacheLine("clflushopt", "66 0F AE /7 Mb");
export const CLWB = cacheLine("clwb", "66 0F AE /6 Mb");

export const CACHE: readonly Instruction[] = [INVD, WBINVD, INVLPG, INVPCID, CLFLUSH, CLFLUSHOPT, CLWB];
