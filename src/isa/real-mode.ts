/** What programs of real-address mode do all the time and needs no host: INT n and IRET. */
import { declareFunction } from "./functions.ts";
import { RSP, type Semantics, SS } from "./semantics.ts";
import type { Value } from "./value.ts";

/** (vector) → its far pointer in the table, in real-address mode with nothing else to look at; else 0. */
const REAL_VECTOR = declareFunction("realVector", { in: "wasm", params: ["i32"], result: "i32" });
/**
 * (selector, offset, not zero where there is more to do) → whether CS has been loaded, in real-address mode with an offset
 * within its limit.
 */
const ENTER_REAL_SEGMENT = declareFunction("enterRealSegment", {
  in: "wasm",
  params: ["i32", "i32", "i32"],
  result: "i32",
});

const TF = 1 << 8;
const IF = 1 << 9;
const RF = 1 << 16;
const AC = 1 << 18;
/** IF, TF, IOPL and NT. */
const SYSTEM_LOW = 0x7300;
const WORD = 0xffff;

/** Whether code may be of real-address mode, of the kind that is run there: 16 bits on a stack of 16 bits. */
export const mayBeReal = (o: Semantics): boolean => !o.long && !o.flat && o.operandSize === 16 && o.stackSize === 16;

const onStack = (pointer: Value, distance: number): Value => pointer.add(distance).and(WORD).extendU();

/** INT n. */
export function interruptReal(o: Semantics, vector: Value, other: () => void): void {
  const entry = o.call(REAL_VECTOR, vector);
  o.rarely(entry.eqz(), other, () => {
    const pointer = o.register(RSP, 16);
    const pushed = [o.getEflags(), o.state("csSelector"), o.nextIp().wrap()];
    for (const [i, value] of pushed.entries()) o.store(SS, onStack(pointer, -2 * (i + 1)), 16, value.and(WORD));
    o.setRegister(RSP, 16, pointer.sub(6).and(WORD));
    o.setState("eflagsSystem", o.state("eflagsSystem").and(~(IF | TF | AC | RF)));
    // No limit is checked here: the handler's first instruction is.
    o.call(ENTER_REAL_SEGMENT, entry.shrU(16), 0, 0);
    o.transfer(entry.and(WORD).extendU());
  });
}

/** IRET; `attention`: not zero where loading the system flags has more to do than that. */
export function returnReal(
  o: Semantics,
  attention: (next: Value) => Value,
  setStatusFlags: (flags: Value) => void,
  other: () => void,
): void {
  const pointer = o.register(RSP, 16);
  const [ip, cs, flags] = [0, 2, 4].map((distance) => o.load(SS, onStack(pointer, distance), 16)) as [
    Value,
    Value,
    Value,
  ];
  const next = o.state("eflagsSystem").and(~SYSTEM_LOW).or(flags.and(SYSTEM_LOW));
  const isThere = o.call(ENTER_REAL_SEGMENT, cs, ip, attention(next));
  o.rarely(isThere.eqz(), other, () => {
    setStatusFlags(flags);
    o.setState("eflagsSystem", next);
    o.setRegister(RSP, 16, pointer.add(6).and(WORD));
    o.transfer(ip.extendU());
  });
}
