/** Software interrupts, return from interrupts, and the flags and states that govern interrupts. */
import { declareFunction } from "./functions.ts";
import { type Instruction, instruction } from "./instruction.ts";
import { interruptReal, mayBeReal, returnReal } from "./real-mode.ts";
import { type Operand, RSP, type Semantics, SS } from "./semantics.ts";
import type { Value } from "./value.ts";

/** (vector, INTERRUPT_KIND, offset of the next instruction) → offset of the handler. */
const SOFTWARE_INTERRUPT = declareFunction("softwareInterrupt", {
  in: "host",
  params: ["i32", "i32", "i64"],
  result: "i64",
  faults: true,
});
/** (overflow flag, offset of the next instruction) → offset to go on at. */
const OVERFLOW_INTERRUPT = declareFunction("overflowInterrupt", {
  in: "host",
  params: ["i32", "i64"],
  result: "i64",
  faults: true,
});
/** (operand size, offset of the next instruction) → offset to go on at. */
const INTERRUPT_RETURN = declareFunction("interruptReturn", {
  in: "host",
  params: ["i32", "i64"],
  result: "i64",
  faults: true,
});
/** (system flags before): brings the processor in line with TF, IF and AC. */
export const SYSTEM_FLAGS_CHANGED = declareFunction("systemFlagsChanged", { in: "host", params: ["i32"] });
/** Sets IF, with interrupts held off until after the next instruction. */
const ENABLE_INTERRUPTS = declareFunction("enableInterrupts", { in: "host", params: [] });
/**
 * (offset, CS, SS, system flags, not zero for a return that is out of the ordinary) → not zero where privilege, segments
 * and flags have been set for a return within 64-bit mode; else nothing has been changed.
 */
const RETURN_TO = declareFunction("returnTo", {
  in: "wasm",
  params: ["i64", "i32", "i32", "i32", "i32"],
  result: "i32",
  changesAccess: true,
});
/**
 * In flat 32-bit code: (vector, RFLAGS to push, ESP, offset of the next instruction) → ESP and below it EIP of the handler,
 * where privilege, segments and flags have been set for it; 0 where nothing has been changed.
 */
const ENTER_GATE = declareFunction("enterGate", {
  in: "wasm",
  params: ["i32", "i32", "i32", "i32"],
  result: "i64",
  changesAccess: true,
});
/**
 * In flat 32-bit code: (CS, system flags, address of what lies above the flags on the stack, not zero for a return that is
 * out of the ordinary) → ESP, where privilege, segments and flags have been set for the return; -1 where nothing has been
 * changed.
 */
const RETURN_TO_PROTECTED = declareFunction("returnToProtected", {
  in: "wasm",
  params: ["i32", "i32", "i32", "i32"],
  result: "i64",
  changesAccess: true,
});
const HALT = declareFunction("halt", { in: "host", params: [] });

/** How an interrupt came about, for `softwareInterrupt`. */
export const INTERRUPT_KIND = { software: 0, int3: 1, int1: 2 } as const;

const TF = 1 << 8;
const IF = 1 << 9;
const IOPL = 3 << 12;
const NT = 1 << 14;
const RF = 1 << 16;
const VM = 1 << 17;
const AC = 1 << 18;
const VIF = 1 << 19;
const VIP = 1 << 20;
const ID = 1 << 21;
/** Flags that `eflagsSystem` has. */
export const SYSTEM_FLAGS = TF | IF | IOPL | NT | RF | VM | AC | VIF | VIP | ID;

const RAISES = "raises an interrupt by design";

/** Whether code is of the kind that all 32-bit systems run: segments of 4 GiB, operands and stack of 32 bits. */
export const isFlat32 = (o: Semantics): boolean => o.flat && o.operandSize === 32 && o.stackSize === 32;
const LOW_WORD = 0xffff_ffffn;

const ABOUT_INTERRUPTS = { spec: "SDM 2, INT n/INTO/INT3/INT1", ends: true, untested: RAISES } as const;

/** System calls of 32-bit kernels, and calls of a BIOS, need no host. */
export const INT = instruction("int", {
  ...ABOUT_INTERRUPTS,
  forms: ["CD Ib"],
  meaning(o, immediate) {
    const vector = o.get(immediate as Operand).and(0xff);
    const long = () => o.transfer(o.call(SOFTWARE_INTERRUPT, vector, INTERRUPT_KIND.software, o.nextIp()));
    if (mayBeReal(o)) {
      interruptReal(o, vector, long);
      return;
    }
    if (!isFlat32(o)) {
      long();
      return;
    }
    const flags = o.getEflags().and(~RF);
    const handler = o.call(ENTER_GATE, vector, flags, o.register(RSP, 32), o.nextIp().wrap());
    o.rarely(handler.eqz(), long, () => {
      o.setRegister(RSP, 32, handler.shrU(32).wrap());
      o.transfer(handler.and(LOW_WORD));
    });
  },
});

const interrupt = (name: string, form: string, kind: number, vector: number): Instruction =>
  instruction(name, {
    ...ABOUT_INTERRUPTS,
    forms: [form],
    meaning: (o) => o.transfer(o.call(SOFTWARE_INTERRUPT, o.i32(vector), kind, o.nextIp())),
  });
export const INT3 = interrupt("int3", "CC", INTERRUPT_KIND.int3, 3);
export const INT1 = interrupt("int1", "F1", INTERRUPT_KIND.int1, 1);

export const INTO = instruction("into", {
  spec: "SDM 2, INT n/INTO/INT3/INT1",
  forms: ["CE ; i64"],
  ends: true,
  untested: RAISES,
  meaning(o) {
    o.transfer(o.call(OVERFLOW_INTERRUPT, o.flag("o"), o.nextIp()));
  },
});

/** Not zero where a return that loads the system flags `next` has more to do than that. */
function needsAttention(o: Semantics, next: Value): Value {
  const old = o.state("eflagsSystem");
  return takesInterrupt(o, old, next)
    .or(next.and(TF))
    .or(old.and(NT | TF))
    .or(o.state("nmiBlocked"));
}

/** IRETQ. Returns of the usual kind, from supervisors to 64-bit code, need no host. */
function returnLong(o: Semantics): void {
  const pointer = o.register(RSP, 64);
  const [ip, cs, flags, rsp, ss] = [0, 8, 16, 24, 32].map((offset) => o.load(SS, pointer.add(offset), 64)) as [
    Value,
    Value,
    Value,
    Value,
    Value,
  ];
  const next = flags.wrap().and(SYSTEM_FLAGS & ~(VM | RF));
  const attention = needsAttention(o, next);
  const isUsual = o.call(RETURN_TO, ip, cs.wrap().and(0xffff), ss.wrap().and(0xffff), next, attention);
  o.rarely(
    isUsual.eqz(),
    () => o.transfer(o.call(INTERRUPT_RETURN, 64, o.nextIp())),
    () => {
      setStatusFlags(o, flags.wrap());
      o.setRegister(RSP, 64, rsp);
      o.transfer(ip);
    },
  );
}

/** IRETD in flat code. Returns of the usual kind, from supervisors, need no host. */
function returnProtected(o: Semantics): void {
  const pointer = o.register(RSP, 32);
  const pop = (distance: number) => o.load(SS, pointer.add(distance).extendU(), 32);
  const [ip, cs, flags] = [pop(0), pop(4), pop(8)];
  const next = flags.and(SYSTEM_FLAGS & ~(VM | RF));
  const attention = needsAttention(o, next).or(flags.and(VM));
  const stack = o.call(RETURN_TO_PROTECTED, cs.and(0xffff), next, pointer.add(12), attention);
  o.rarely(
    stack.eq(-1n),
    () => o.transfer(o.call(INTERRUPT_RETURN, 32, o.nextIp())),
    () => {
      setStatusFlags(o, flags);
      o.setRegister(RSP, 32, stack.wrap());
      o.transfer(ip.extendU());
    },
  );
}

export const IRET = instruction("iret|iretd|iretq", {
  spec: "SDM 2, IRET/IRETD/IRETQ",
  forms: ["CF"],
  ends: true,
  untested: "loads segment registers",
  meaning(o) {
    if (o.long && o.operandSize === 64) {
      returnLong(o);
      return;
    }
    if (isFlat32(o)) {
      returnProtected(o);
      return;
    }
    const long = () => o.transfer(o.call(INTERRUPT_RETURN, o.operandSize, o.nextIp()));
    if (!mayBeReal(o)) {
      long();
      return;
    }
    returnReal(
      o,
      (next) => needsAttention(o, next),
      (flags) => setStatusFlags(o, flags),
      long,
    );
  },
});

export const BOUND = instruction("bound", {
  spec: "SDM 2, BOUND",
  forms: ["62 /r Gv,M ; i64"],
  untested: "not in 64-bit mode",
  meaning(o, index, bounds) {
    const size = o.operandSize;
    const value = o.get(index).signExtend(size);
    const lower = o.loadAt(bounds, 0, size).signExtend(size);
    const upper = o.loadAt(bounds, size / 8, size).signExtend(size);
    o.raiseIf(value.ltS(lower).or(value.gtS(upper)), "BR");
  },
});

const undefinedInstruction = (name: string, form: string): Instruction =>
  instruction(name, {
    spec: "SDM 2, UD",
    forms: [form],
    ends: true,
    untested: RAISES,
    meaning(o) {
      o.raise("UD");
    },
  });

export const UD0 = undefinedInstruction("ud0", "0F FF /r Gv,Ev");
export const UD1 = undefinedInstruction("ud1", "0F B9 /r Gv,Ev");
export const UD2 = undefinedInstruction("ud2", "0F 0B");

/** #GP(0) in virtual-8086 mode with an IOPL below 3. */
function requireVirtualIopl(o: Semantics, flags: Value): void {
  const bits = flags.and(VM | IOPL);
  o.raiseIf(bits.sub(VM).ltU(IOPL), "GP", 0);
}

const ioPrivilege = (flags: Value): Value => flags.shrU(12).and(3);

/** Sets the status flags and DF as in `flags`. */
export function setStatusFlags(o: Semantics, flags: Value): void {
  o.setFlags({
    c: flags.and(1),
    p: flags.shrU(2).and(1),
    a: flags.shrU(4).and(1),
    z: flags.shrU(6).and(1),
    s: flags.shrU(7).and(1),
    o: flags.shrU(11).and(1),
  });
  o.setState("direction", o.i32(1).sub(flags.shrU(9).and(2)));
}

/** Not zero where an interrupt waits that the change from `old` to `next` of the system flags lets in. */
export const takesInterrupt = (o: Semantics, old: Value, next: Value): Value =>
  next.and(old.not()).and(IF).ne(0).and(o.state("interruptPending"));

export const PUSHF = instruction("pushf|pushfd|pushfq", {
  spec: "SDM 2, PUSHF/PUSHFD/PUSHFQ",
  forms: ["9C ; d64"],
  meaning(o) {
    requireVirtualIopl(o, o.state("eflagsSystem"));
    const flags = o.getEflags().and(~(VM | RF));
    o.push(o.operandSize === 64 ? flags.extendU() : flags, o.operandSize);
  },
});

export const POPF = instruction("popf|popfd|popfq", {
  spec: "SDM 2, POPF/POPFD/POPFQ",
  forms: ["9D ; d64"],
  ends: true,
  meaning(o) {
    const old = o.state("eflagsSystem");
    requireVirtualIopl(o, old);
    const { value, commit } = o.pop(o.operandSize);
    const flags = value.wrap();
    const wide = o.operandSize !== 16;
    const cpl = o.state("cpl");
    const loaded = o
      .i32(TF | NT | (wide ? AC | ID : 0))
      .or(o.i32(IF).when(cpl.leU(ioPrivilege(old)), 0))
      .or(o.i32(IOPL).when(cpl.eqz(), 0));
    const cleared = o
      .i32(wide ? VIF | VIP : 0)
      .when(cpl.eqz(), 0)
      .or(RF);
    const next = old.and(loaded.or(cleared).not()).or(flags.and(loaded));
    const load = () => {
      commit();
      setStatusFlags(o, flags);
      o.setState("eflagsSystem", next);
    };
    const attention = takesInterrupt(o, old, next).or(next.and(TF)).or(next.xor(old).and(AC));
    o.rarely(
      attention,
      () => {
        load();
        o.call(SYSTEM_FLAGS_CHANGED, old);
      },
      load,
    );
    o.endBlock();
  },
});

export const CLI = instruction("cli", {
  spec: "SDM 2, CLI",
  forms: ["FA"],
  untested: "privileged",
  meaning(o) {
    const flags = o.state("eflagsSystem");
    o.raiseIf(o.state("cpl").gtU(ioPrivilege(flags)), "GP", 0);
    o.setState("eflagsSystem", flags.and(~IF));
  },
});

export const STI = instruction("sti", {
  spec: "SDM 2, STI",
  forms: ["FB"],
  ends: true,
  untested: "privileged",
  meaning(o) {
    const flags = o.state("eflagsSystem");
    o.raiseIf(o.state("cpl").gtU(ioPrivilege(flags)), "GP", 0);
    o.rarely(
      takesInterrupt(o, flags, o.i32(IF)),
      () => {
        o.call(ENABLE_INTERRUPTS);
      },
      () => {
        o.setState("eflagsSystem", flags.or(IF));
        // For what arrives before the next instruction: HLT, often enough.
        o.setState("heldOffAt", o.nextIp().when(flags.and(IF).eqz(), -1n));
      },
    );
    o.endBlock();
  },
});

export const HLT = instruction("hlt", {
  spec: "SDM 2, HLT",
  forms: ["F4"],
  privileged: true,
  ends: true,
  untested: "privileged",
  meaning(o) {
    o.call(HALT);
    o.endBlock();
  },
});

export const INTERRUPT: readonly Instruction[] = [
  INT,
  INT3,
  INT1,
  INTO,
  IRET,
  BOUND,
  UD0,
  UD1,
  UD2,
  PUSHF,
  POPF,
  CLI,
  STI,
  HLT,
];
