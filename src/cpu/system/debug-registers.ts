/** Debug registers as MOV sees them. @spec SDM 3B 18.2 */
import { VECTOR } from "../../isa/semantics.ts";
import { GuestFault } from "./guest-fault.ts";
import type { HostFunctions } from "./host-functions.ts";
import { CR4 } from "./mode.ts";
import type { SystemContext } from "./system.ts";

/** Reserved bits that read as one; also the values after reset. */
export const DR6_FIXED = 0xffff_0ff0;
export const DR7_FIXED = 0x400;
/** B0–B3, BD, BS, BT. */
const DR6_WRITABLE = 0xe00f;
/** L0–G3, LE, GE, GD, and the conditions and lengths. */
const DR7_WRITABLE = 0xffff_23ff;
const DR6_BD = 1n << 13n;
const DR7_GD = 1n << 13n;

export function debugRegisterFunctions(cpu: SystemContext): HostFunctions {
  const { registers } = cpu;

  /** The register's name; DR4 and DR5 are DR6 and DR7 until CR4.DE takes them away. */
  const named = (number: number): string => {
    const alias = number === 4 || number === 5;
    if (number > 7 || (alias && registers.get32("cr4") & CR4.DE)) throw new GuestFault(VECTOR.UD);
    return `dr${alias ? number + 2 : number}`;
  };

  /** General detect: DR7.GD guards the debug registers, until the handler of its exception runs. */
  const checkDetect = () => {
    const dr7 = registers.get64("dr7");
    if (!(dr7 & DR7_GD)) return;
    registers.set64("dr6", registers.get64("dr6") | DR6_BD);
    registers.set64("dr7", dr7 & ~DR7_GD);
    throw new GuestFault(VECTOR.DB);
  };

  return {
    readDebug(number) {
      const name = named(number);
      checkDetect();
      return registers.get64(name);
    },
    writeDebug(number, written) {
      const value = BigInt.asUintN(64, written);
      const name = named(number);
      checkDetect();
      if (number >= 4 && value >> 32n) throw new GuestFault(VECTOR.GP, 0);
      if (name === "dr6") registers.set64(name, (value & BigInt(DR6_WRITABLE)) | BigInt(DR6_FIXED));
      else if (name === "dr7") registers.set64(name, (value & BigInt(DR7_WRITABLE)) | BigInt(DR7_FIXED));
      else registers.set64(name, value);
      cpu.modeChanged();
    },
  };
}
