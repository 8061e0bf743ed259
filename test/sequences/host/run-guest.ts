/** Our processor as it runs a sequence: to a breakpoint, or to the exception that ends it. */
import { decode } from "../../../src/cpu/decode/decoder.ts";
import { GuestProcessor, type Regions } from "../../conformance/guest-processor.ts";
import { FIELD, OUTPUT_SIZE, PLACE } from "../../conformance/record.ts";
import type { HostBits } from "./sequence.ts";

export const BREAKPOINT = 3;
const INT3 = 0xcc;
const OPERAND_SIZE = 0x66;
const PREFIXES = new Set([OPERAND_SIZE, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]);
/** What a stretch is asked to run, and after how many stretches it is clear that the sequence does not end. */
const STRETCH = 1000;
const MOST_STRETCHES = 50;

/** The tiers that are held against the host's processor. */
export const HOST_TIERS = {
  interpreter: undefined,
  // Made when a block first runs.
  regions: { heat: 1, large: false },
  // Made when most of the sequence has run, so that they hold most of it.
  "large regions": { heat: 3, large: true },
} as const satisfies Readonly<Record<string, Regions | undefined>>;
export type HostTier = keyof typeof HOST_TIERS;
export const HOST_TIER_NAMES = Object.keys(HOST_TIERS) as readonly HostTier[];

/** The state at the end of a run, as record.ts has it, and all of the code's place. */
export interface Ending {
  readonly state: DataView;
  readonly code: Uint8Array;
}

export const newRecord = (): DataView => new DataView(new ArrayBuffer(OUTPUT_SIZE));

type Exception = { vector: number; errorCode: number } | undefined;

export class GuestRunner {
  readonly guest: GuestProcessor;

  constructor(tier: HostTier) {
    const regions = HOST_TIERS[tier];
    this.guest = regions ? new GuestProcessor("translator", regions) : new GuestProcessor();
  }

  /** Instructions in regions that were made so far. */
  get translated(): number {
    return this.guest.processor.statistics.translated.instructions;
  }

  /** Takes up code and the state before a run. */
  begin(image: Uint8Array, input: DataView): void {
    const { guest } = this;
    const { registers } = guest.processor;
    if (!Buffer.from(image.buffer, image.byteOffset, image.length).equals(guest.code)) {
      guest.code.set(image);
      guest.codeWritten();
    }
    for (const name of ["shadow", "activity", "debugTraps"]) registers.set32(name, 0);
    guest.load(input);
  }

  /** Distance of the next instruction from the start of the code's place, where it is in there. */
  get position(): number | undefined {
    const distance = this.guest.processor.registers.get64("ip") - BigInt(PLACE.code);
    return distance >= 0n && distance < BigInt(PLACE.codeSize) ? Number(distance) : undefined;
  }

  /** Whether a breakpoint is next. */
  get hasEnded(): boolean {
    return this.guest.code[this.position ?? -1] === INT3;
  }

  /** What came of a run that `exception` or a breakpoint has ended. */
  ending(exception: Exception): Ending {
    const state = newRecord();
    this.guest.store(state, exception);
    if (this.hasEnded) {
      state.setUint32(FIELD.vector, BREAKPOINT, true);
      state.setUint32(FIELD.errorCode, 0, true);
      state.setBigUint64(FIELD.cr2, 0n, true);
    }
    return { state, code: this.guest.code.slice() };
  }

  /** Runs to the end, in regions where there are some. */
  run(image: Uint8Array, input: DataView): Ending {
    this.begin(image, input);
    let exception: Exception;
    for (let i = 0; i < MOST_STRETCHES && !exception && !this.hasEnded; i++) {
      exception = this.guest.processor.stretch(STRETCH);
    }
    return this.ending(exception);
  }

  /** The instruction that is next, where its bytes are in the code's place. */
  decode(bits: HostBits, has: Parameters<typeof decode>[4]): ReturnType<typeof decode> | undefined {
    const { position } = this;
    if (position === undefined) return undefined;
    return decode(this.guest.code, position, PLACE.codeSize, { long: bits === 64, code32: bits === 32 }, has);
  }

  /** Whether the instruction that is next is a jump with an operand size prefix, which AMD processors cut to 16 bits. */
  hasCutJump(decoded: ReturnType<typeof decode>): boolean {
    if (typeof decoded === "string" || !decoded.form.attributes.has("f64")) return false;
    const first = this.position ?? 0;
    let last = first;
    while (PREFIXES.has(this.guest.code[last] as number)) last++;
    return this.guest.code.subarray(first, last).includes(OPERAND_SIZE);
  }
}
