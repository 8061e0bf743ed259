/** PCI BIOS: INT 1Ah AH=B1h, and the same for 32-bit callers. @spec PCI BIOS Specification 2.1 */
import type { AccessSize } from "../../machine/device.ts";
import type { BiosCall } from "./call.ts";
import { type Ports, pciFunctions, readPci, writePci } from "./chips.ts";

const Result = { ok: 0x00, unsupported: 0x81, badVendor: 0x83, notFound: 0x86, badRegister: 0x87 } as const;
/** "PCI " as EDX has it. */
const SIGNATURE = 0x2049_4350;
const VERSION = 0x0210;
const SPECIFIC_CONFIGURATION = 0x01;

/** Does the function in AL; returns whether it failed, which belongs in the carry flag. */
export function pciService(call: BiosCall, ports: Ports): boolean {
  const end = (result: number) => {
    call.ah = result;
    return result !== Result.ok;
  };
  switch (call.al) {
    case 0x01:
      call.edx = SIGNATURE;
      call.ax = SPECIFIC_CONFIGURATION;
      call.bx = VERSION;
      call.cl = 0;
      return false;
    case 0x02: {
      if (call.dx === 0xffff) return end(Result.badVendor);
      const matching = pciFunctions(ports).filter(
        (at) => readPci(ports, at, 0, 2) === call.dx && readPci(ports, at, 2, 2) === call.cx,
      );
      return end(found(call, matching));
    }
    case 0x03: {
      const wanted = call.ecx & 0xff_ffff;
      return end(
        found(
          call,
          pciFunctions(ports).filter((at) => readPci(ports, at, 8, 4) >>> 8 === wanted),
        ),
      );
    }
    case 0x08:
    case 0x09:
    case 0x0a:
      return end(access(call, ports, (1 << (call.al - 0x08)) as AccessSize, false));
    case 0x0b:
    case 0x0c:
    case 0x0d:
      return end(access(call, ports, (1 << (call.al - 0x0b)) as AccessSize, true));
    default:
      return end(Result.unsupported);
  }
}

function found(call: BiosCall, functions: readonly number[]): number {
  const at = functions[call.si];
  if (at === undefined) return Result.notFound;
  call.bx = at;
  return Result.ok;
}

function access(call: BiosCall, ports: Ports, size: AccessSize, write: boolean): number {
  const register = call.di;
  if (register > 0xff || register % size !== 0) return Result.badRegister;
  const value = call.ecx;
  if (write) writePci(ports, call.bx, register, size, size === 4 ? value : value & (size === 2 ? 0xffff : 0xff));
  else {
    const read = readPci(ports, call.bx, register, size);
    if (size === 4) call.ecx = read;
    else if (size === 2) call.cx = read;
    else call.cl = read;
  }
  return Result.ok;
}
