/** Instructions on single flags. */
import { type Instruction, instruction } from "./instruction.ts";
import { RAX, type Semantics } from "./semantics.ts";

const flagInstruction = (name: string, opcode: string, meaning: (o: Semantics) => void): Instruction =>
  instruction(name, { spec: `SDM 2, ${name.toUpperCase()}`, forms: [opcode], meaning });

export const CMC = flagInstruction("cmc", "F5", (o) => o.setFlags({ c: o.flag("c").xor(1) }));
export const CLC = flagInstruction("clc", "F8", (o) => o.setFlags({ c: o.i32(0) }));
export const STC = flagInstruction("stc", "F9", (o) => o.setFlags({ c: o.i32(1) }));
export const CLD = flagInstruction("cld", "FC", (o) => o.setState("direction", 1));
export const STD = flagInstruction("std", "FD", (o) => o.setState("direction", -1));

export const SALC = instruction("salc", {
  spec: "undocumented: AL is FFh where CF is set, else 0",
  forms: ["D6 ; i64"],
  meaning(o) {
    o.setRegister(RAX, 8, o.flag("c").neg());
  },
});

export const FLAGS: readonly Instruction[] = [CMC, CLC, STC, CLD, STD, SALC];
