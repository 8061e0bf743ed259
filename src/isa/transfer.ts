/** Far transfers and system calls. */
import { declareFunction } from "./functions.ts";
import { type Instruction, instruction } from "./instruction.ts";
import { isFlat32, SYSTEM_FLAGS, setStatusFlags, takesInterrupt } from "./interrupt.ts";
import { type Operand, RCX, RDX, RSP, type Semantics } from "./semantics.ts";
import type { Value } from "./value.ts";

const R11 = 11;

/** (selector, offset, operand size, offset of the next instruction) → offset to go on at. */
const FAR_JUMP = declareFunction("farJump", {
  in: "host",
  params: ["i32", "i64", "i32", "i64"],
  result: "i64",
  faults: true,
});
/** (selector, offset) in any mode but IA-32e mode → whether CS has been loaded, for a jump to code with nothing else to look at. */
const ENTER_USUAL_SEGMENT = declareFunction("enterUsualSegment", {
  in: "wasm",
  params: ["i32", "i32"],
  result: "i32",
  changesMode: true,
});
const FAR_CALL = declareFunction("farCall", {
  in: "host",
  params: ["i32", "i64", "i32", "i64"],
  result: "i64",
  faults: true,
});
/** (operand size, bytes to release) → offset to go on at. */
const FAR_RETURN = declareFunction("farReturn", { in: "host", params: ["i32", "i32"], result: "i64", faults: true });
/** Sets CS, SS, CPL and RFLAGS for SYSCALL. */
const ENTER_SYSTEM_CALL = declareFunction("enterSystemCall", { in: "host", params: [] });
/** (CS): CS, SS and CPL of SYSCALL, with nothing else to look at. */
const ENTER_SUPERVISOR = declareFunction("enterSupervisor", { in: "wasm", params: ["i32"], changesAccess: true });
/** (STAR 63:48): CS, SS and CPL of SYSRET to 64-bit mode, with nothing else to look at. */
const ENTER_USER = declareFunction("enterUser", { in: "wasm", params: ["i32"], changesAccess: true });
/** (flags, operand size): sets CS, SS, CPL and RFLAGS for SYSRET. */
const LEAVE_SYSTEM_CALL = declareFunction("leaveSystemCall", { in: "host", params: ["i32", "i32"] });
/** → offset to go on at. */
const SYSENTER_FUNCTION = declareFunction("sysenter", { in: "host", params: [], result: "i64", faults: true });
/** (operand size) → offset to go on at. */
const SYSEXIT_FUNCTION = declareFunction("sysexit", { in: "host", params: ["i32"], result: "i64", faults: true });

/** In flat 32-bit code: whether CS, SS and CPL of SYSENTER have been set, with nothing else to look at. */
const ENTER_SUPERVISOR_32 = declareFunction("enterSupervisor32", {
  in: "wasm",
  params: [],
  result: "i32",
  changesAccess: true,
});
/** The same of SYSEXIT. */
const ENTER_USER_32 = declareFunction("enterUser32", { in: "wasm", params: [], result: "i32", changesAccess: true });

const UNTESTED = "changes segment registers";

/** Offset (i64) and selector of a far pointer in memory. */
function pointerAt(o: Semantics, pointer: Operand): { offset: Value; selector: Value } {
  const size = o.operandSize;
  const offset = o.loadAt(pointer, 0, size).extendU();
  return { offset, selector: o.loadAt(pointer, size / 8, 16) };
}

const far = (name: string, direct: string, indirect: string, callee: string): Instruction[] => {
  const go = (o: Semantics, { offset, selector }: { offset: Value; selector: Value }) => {
    const byHost = () => o.transfer(o.call(callee, selector, offset, o.operandSize, o.nextIp()));
    if (callee !== FAR_JUMP || o.long) {
      byHost();
      return;
    }
    const isThere = o.call(ENTER_USUAL_SEGMENT, selector.and(0xffff), offset.wrap());
    o.rarely(isThere.eqz(), byHost, () => o.transfer(offset));
  };
  const about = { spec: `SDM 2, ${name.toUpperCase()}`, ends: true, untested: UNTESTED } as const;
  return [
    instruction(name, { ...about, forms: [direct], meaning: (o, pointer) => go(o, o.farPointer(pointer)) }),
    instruction(name, { ...about, forms: [indirect], meaning: (o, pointer) => go(o, pointerAt(o, pointer)) }),
  ];
};

export const FAR_JMP: readonly Instruction[] = far("jmp", "EA Ap ; i64", "FF /5 Mp", FAR_JUMP);
export const FAR_CALLS: readonly Instruction[] = far("call", "9A Ap ; i64", "FF /3 Mp", FAR_CALL);

export const RETF = instruction("retf", {
  spec: "SDM 2, RET",
  forms: ["CA Iw", "CB"],
  ends: true,
  untested: UNTESTED,
  meaning(o, release) {
    const bytes = release ? o.get(release).and(0xffff) : o.i32(0);
    o.transfer(o.call(FAR_RETURN, o.operandSize, bytes));
  },
});

const EFER_SCE = 1;
const TF = 1 << 8;
const IF = 1 << 9;
const RF = 1 << 16;
const VM = 1 << 17;
const AC = 1 << 18;
/** The value of `mmuMode` where each access is looked at. */
const CHECKED = 3;

/** Not zero where breakpoints or alignment checks have a say in memory accesses. */
const isWatched = (o: Semantics): Value => o.state("dr7").wrap().and(0xff).or(o.state("mmuMode").eq(CHECKED));

function requireSystemCalls(o: Semantics): void {
  o.raiseIf(o.state("efer").wrap().and(EFER_SCE).eqz(), "UD");
}

/** In 64-bit mode only, as on Intel's processors. */
export const SYSCALL = instruction("syscall", {
  spec: "SDM 2, SYSCALL",
  forms: ["0F 05 ; o64"],
  feature: "syscall",
  ends: true,
  untested: UNTESTED,
  meaning(o) {
    requireSystemCalls(o);
    const flags = o.getEflags();
    const saveReturn = () => {
      o.setRegister(RCX, 64, o.nextIp());
      o.setRegister(R11, 64, flags.and(~RF).extendU());
    };
    o.rarely(
      flags.and(TF).or(isWatched(o)),
      () => {
        saveReturn();
        o.call(ENTER_SYSTEM_CALL);
      },
      () => {
        saveReturn();
        const left = flags.and(o.state("sfmask").wrap().or(RF).not());
        setStatusFlags(o, left);
        o.setState("eflagsSystem", left.and(SYSTEM_FLAGS));
        o.call(ENTER_SUPERVISOR, o.state("star").shrU(32).wrap().and(0xffff));
      },
    );
    o.transfer(o.state("lstar"));
  },
});

/** Intel's order: a return address that is not canonical is found before the privilege level changes. */
export const SYSRET = instruction("sysret", {
  spec: "SDM 2, SYSRET",
  forms: ["0F 07 ; o64"],
  feature: "syscall",
  privileged: true,
  ends: true,
  untested: UNTESTED,
  meaning(o) {
    requireSystemCalls(o);
    const wide = o.operandSize === 64;
    const ip = wide ? o.register(RCX, 64) : o.register(RCX, 32).extendU();
    if (wide) o.raiseIf(ip.shl(16).shrS(16).ne(ip), "GP", 0);
    const flags = o.register(R11, 32);
    const leave = () => {
      o.call(LEAVE_SYSTEM_CALL, flags, o.operandSize);
    };
    if (!wide) {
      leave();
      o.transfer(ip);
      return;
    }
    const old = o.state("eflagsSystem");
    const next = flags.and(SYSTEM_FLAGS & ~(RF | VM));
    const checksAlignment = next.and(o.state("cr0").wrap()).and(AC);
    o.rarely(takesInterrupt(o, old, next).or(next.or(old).and(TF)).or(checksAlignment).or(isWatched(o)), leave, () => {
      setStatusFlags(o, flags);
      o.setState("eflagsSystem", next);
      o.call(ENTER_USER, o.state("star").shrU(48).wrap());
    });
    o.transfer(ip);
  },
});

export const SYSENTER = instruction("sysenter", {
  spec: "SDM 2, SYSENTER",
  forms: ["0F 34"],
  feature: "sep",
  ends: true,
  untested: UNTESTED,
  meaning(o) {
    const long = () => o.transfer(o.call(SYSENTER_FUNCTION));
    if (!isFlat32(o)) {
      long();
      return;
    }
    o.rarely(o.call(ENTER_SUPERVISOR_32).eqz(), long, () => {
      o.setState("eflagsSystem", o.state("eflagsSystem").and(~(VM | IF | RF)));
      o.setRegister(RSP, 32, o.state("sysenterEsp").wrap());
      o.transfer(o.state("sysenterEip").wrap().extendU());
    });
  },
});

export const SYSEXIT = instruction("sysexit", {
  spec: "SDM 2, SYSEXIT",
  forms: ["0F 35"],
  feature: "sep",
  privileged: true,
  ends: true,
  untested: UNTESTED,
  meaning(o) {
    const long = () => o.transfer(o.call(SYSEXIT_FUNCTION, o.operandSize));
    if (!isFlat32(o)) {
      long();
      return;
    }
    o.rarely(o.call(ENTER_USER_32).eqz(), long, () => {
      o.setRegister(RSP, 32, o.register(RCX, 32));
      o.transfer(o.register(RDX, 32).extendU());
    });
  },
});

export const TRANSFER: readonly Instruction[] = [...FAR_JMP, ...FAR_CALLS, RETF, SYSCALL, SYSRET, SYSENTER, SYSEXIT];
