/**
 * What PXE has in the guest's conventional memory, below its end: the messages of DHCP and the frame that a program takes.
 * The program may free it when it has stopped UNDI, by giving it back to the memory size at 0040:0013.
 */
import type { BiosCall } from "../call.ts";
import { Bda } from "../data-area.ts";

const KIB = 1024;
/** Bytes of a message or frame, and where they are. */
export const PART = 0x600;
const PARTS = 4;
const SIZE_KIB = (PART * PARTS) / KIB;
export const FRAME_PART = 0;

export interface PxeMemoryState {
  /** Where it begins, in KiB; 0 for none. */
  startKib: number;
}

export class PxeMemory {
  readonly state: PxeMemoryState = { startKib: 0 };

  reset(): void {
    this.state.startKib = 0;
  }

  get isThere(): boolean {
    return this.state.startKib > 0;
  }
  get segment(): number {
    return (this.state.startKib * KIB) / 16;
  }
  /** Bytes. */
  static readonly size = PART * PARTS;

  /** Takes it from the end of what programs have. */
  take(call: BiosCall): void {
    this.state.startKib = Math.max(call.u16(Bda.memoryKib) - SIZE_KIB, 0);
    call.setU16(Bda.memoryKib, this.state.startKib);
  }

  /** Gives it back, unless that was done or more was taken since. */
  giveBack(call: BiosCall): void {
    const { startKib } = this.state;
    if (startKib > 0 && call.u16(Bda.memoryKib) === startKib) call.setU16(Bda.memoryKib, startKib + SIZE_KIB);
    this.reset();
  }

  /** A real-mode pointer to a part: a segment times 10000h plus an offset. */
  pointer(part: number): number {
    return this.segment * 0x1_0000 + part * PART;
  }

  /** Writes to a part as much as fits. */
  fill(call: BiosCall, part: number, bytes: Uint8Array): void {
    call.processor.writePhysical(this.segment * 16 + part * PART, bytes.subarray(0, PART));
  }
}
