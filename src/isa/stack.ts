/** The stack: PUSH, POP, PUSHA, POPA, ENTER, LEAVE. */
import { type Instruction, instruction } from "./instruction.ts";
import { RAX, RBP, RDI, RSP, type Semantics, SS } from "./semantics.ts";
import type { Value } from "./value.ts";

/** A register of the stack's address size as an offset. */
const stackRegister = (o: Semantics, index: number): Value => o.register(index, o.stackSize).extendU();

/** An offset cut to the stack's address size. */
const cut = (o: Semantics, offset: Value): Value => offset.zeroExtend(o.stackSize);

const setStackRegister = (o: Semantics, index: number, offset: Value): void =>
  o.setRegister(index, o.stackSize, o.stackSize === 64 ? offset : offset.wrap());

export const PUSH = instruction("push", {
  spec: "SDM 2, PUSH",
  forms: ["50+ Zv ; d64", "FF /6 Ev ; d64", "68 Iz ; d64", "6A sIb ; d64"],
  meaning(o, src) {
    const value = o.get(src);
    // An immediate is sign-extended to the operand size, which no other operand gives it.
    if (o.operandSize === 64) o.push(value.extendS(), 64);
    else o.push(value, o.operandSize);
  },
});

export const POP = instruction("pop", {
  spec: "SDM 2, POP",
  forms: ["58+ Zv ; d64", "8F /0 Ev ; d64 sp+"],
  meaning(o, dst) {
    const { value, commit } = o.pop(dst.width);
    // Memory can fault and goes first; a register may be RSP itself and goes last.
    if (dst.isMemory) o.put(dst, value);
    commit();
    if (!dst.isMemory) o.put(dst, value);
  },
});

export const PUSHA = instruction("pusha|pushad", {
  spec: "SDM 2, PUSHA/PUSHAD",
  forms: ["60 ; i64"],
  meaning(o) {
    const size = o.operandSize;
    const top = stackRegister(o, RSP);
    for (let index = RAX; index <= RDI; index++) {
      o.store(SS, cut(o, top.sub(((index + 1) * size) / 8)), size, o.register(index, size));
    }
    setStackRegister(o, RSP, top.sub(size));
  },
});

export const POPA = instruction("popa|popad", {
  spec: "SDM 2, POPA/POPAD",
  forms: ["61 ; i64"],
  meaning(o) {
    const size = o.operandSize;
    const top = stackRegister(o, RSP);
    const values: [number, Value][] = [];
    for (let index = RDI; index >= RAX; index--) {
      // The saved stack pointer is skipped, not read.
      if (index !== RSP) values.push([index, o.load(SS, cut(o, top.add(((RDI - index) * size) / 8)), size)]);
    }
    for (const [index, value] of values) o.setRegister(index, size, value);
    setStackRegister(o, RSP, top.add(size));
  },
});

export const ENTER = instruction("enter", {
  spec: "SDM 2, ENTER",
  forms: ["C8 Iw,Ib ; d64"],
  meaning(o, allocation, nesting) {
    const size = o.operandSize;
    const bytes = size / 8;
    const level = o.get(nesting).wrap().and(31);
    const frame = cut(o, stackRegister(o, RSP).sub(bytes));
    // What RBP becomes: all of the stack pointer, also bits that a 16-bit stack leaves alone.
    const pointer =
      size === 32 && o.stackSize === 16 ? o.register(RSP, 32).and(~0xffff).or(frame.wrap()) : frame.wrap();
    const framePointer = size === 64 ? frame : pointer;
    o.store(SS, frame, size, o.register(RBP, size));
    const top = o.variable("i64", frame);
    o.if(level, () => {
      // The display: the enclosing frames' pointers are copied from the caller's frame, then this one's.
      const left = o.variable("i32", level);
      const from = o.variable("i64", stackRegister(o, RBP));
      o.loop((leaveIf) => {
        left.set(left.get().sub(1));
        leaveIf(left.get().eqz());
        from.set(cut(o, from.get().sub(bytes)));
        top.set(cut(o, top.get().sub(bytes)));
        o.store(SS, top.get(), size, o.load(SS, from.get(), size));
      });
      top.set(cut(o, top.get().sub(bytes)));
      o.store(SS, top.get(), size, framePointer);
    });
    const last = cut(o, top.get().sub(o.get(allocation).wrap().and(0xffff).extendU()));
    // Faults as a write at the new stack pointer would.
    o.modify(SS, last, size, (old) => old);
    o.setRegister(RBP, size, framePointer);
    setStackRegister(o, RSP, last);
  },
});

export const LEAVE = instruction("leave", {
  spec: "SDM 2, LEAVE",
  forms: ["C9 ; d64"],
  meaning(o) {
    const size = o.operandSize;
    const frame = stackRegister(o, RBP);
    const value = o.load(SS, frame, size);
    setStackRegister(o, RSP, frame.add(size / 8));
    o.setRegister(RBP, size, value);
  },
});

export const STACK: readonly Instruction[] = [PUSH, POP, PUSHA, POPA, ENTER, LEAVE];
