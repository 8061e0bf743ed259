/** Near control transfers: jumps, calls, returns and loops within the code segment. */
import { type Instruction, instruction, perCondition } from "./instruction.ts";
import { RCX, RSP, type Semantics } from "./semantics.ts";
import type { Value } from "./value.ts";

export const JCC: readonly Instruction[] = perCondition("j", (code, opcode) => ({
  spec: "SDM 2, Jcc",
  forms: [`${opcode(0x70)} Jb ; f64`, `0F ${opcode(0x80)} Jz ; f64`],
  ends: true,
  meaning(o, target) {
    o.jumpIf(o.condition(code), target);
  },
}));

export const JMP = instruction("jmp", {
  spec: "SDM 2, JMP (near)",
  forms: ["EB Jb ; f64", "E9 Jz ; f64"],
  ends: true,
  meaning(o, target) {
    o.jump(o.target(target));
  },
});

export const JMP_INDIRECT = instruction("jmp", {
  spec: "SDM 2, JMP (near)",
  forms: ["FF /4 Ev ; f64"],
  ends: true,
  meaning(o, target) {
    const ip = o.get(target).extendU();
    o.checkTarget(ip);
    o.jump(ip);
  },
});

/** Pushes the return address and goes on at `ip`. */
function call(o: Semantics, ip: Value): void {
  o.checkTarget(ip);
  const next = o.nextIp();
  o.push(o.operandSize === 64 ? next : next.wrap(), o.operandSize);
  o.jump(ip);
}

export const CALL = instruction("call", {
  spec: "SDM 2, CALL (near)",
  forms: ["E8 Jz ; f64"],
  ends: true,
  flow: "call",
  meaning(o, target) {
    call(o, o.target(target));
  },
});

export const CALL_INDIRECT = instruction("call", {
  spec: "SDM 2, CALL (near)",
  forms: ["FF /2 Ev ; f64"],
  ends: true,
  flow: "call",
  meaning(o, target) {
    call(o, o.get(target).extendU());
  },
});

export const RET = instruction("ret", {
  spec: "SDM 2, RET (near)",
  forms: ["C3 ; f64"],
  ends: true,
  flow: "return",
  meaning(o) {
    const { value, commit } = o.pop(o.operandSize);
    const ip = value.extendU();
    o.checkTarget(ip);
    commit();
    o.jump(ip);
  },
});

export const RET_IMMEDIATE = instruction("ret", {
  spec: "SDM 2, RET (near)",
  forms: ["C2 Iw ; f64"],
  ends: true,
  flow: "return",
  meaning(o, parameters) {
    const { value, commit } = o.pop(o.operandSize);
    const ip = value.extendU();
    o.checkTarget(ip);
    commit();
    const bytes = o.get(parameters).wrap().and(0xffff);
    const pointer = o.register(RSP, o.stackSize);
    o.setRegister(RSP, o.stackSize, pointer.add(o.stackSize === 64 ? bytes.extendU() : bytes));
    o.jump(ip);
  },
});

/** LOOP and its kin: counts rCX of the address size down and jumps while it is not zero and `also` holds. */
const loop = (name: string, opcode: string, also: (o: Semantics) => Value | undefined): Instruction =>
  instruction(name, {
    spec: "SDM 2, LOOP/LOOPcc",
    forms: [`${opcode} Jb ; f64`],
    ends: true,
    meaning(o, target) {
      const count = o.register(RCX, o.addressSize).sub(1).zeroExtend(o.addressSize);
      const condition = also(o);
      const taken = condition === undefined ? count.ne(0) : count.ne(0).and(condition);
      if (!o.long) o.if(taken, () => o.checkTarget(o.target(target)));
      o.setRegister(RCX, o.addressSize, count);
      o.jumpIf(taken, target);
    },
  });

export const LOOPNE = loop("loopne", "E0", (o) => o.flag("z").xor(1));
export const LOOPE = loop("loope", "E1", (o) => o.flag("z"));
export const LOOP = loop("loop", "E2", () => undefined);

export const JCXZ = instruction("jcxz|jecxz|jrcxz", {
  spec: "SDM 2, Jcc",
  forms: ["E3 Jb ; f64"],
  ends: true,
  meaning(o, target) {
    o.jumpIf(o.register(RCX, o.addressSize).eqz(), target);
  },
});

export const JUMPS: readonly Instruction[] = [
  ...JCC,
  JMP,
  JMP_INDIRECT,
  CALL,
  CALL_INDIRECT,
  RET,
  RET_IMMEDIATE,
  LOOPNE,
  LOOPE,
  LOOP,
  JCXZ,
];
