/** Runs random tests of a form on both processors. */
import { type Decoded, type DecodeFailure, decode } from "../../src/cpu/decode/decoder.ts";
import { disassemble } from "../../src/isa/disassemble.ts";
import type { Form } from "../../src/isa/instruction.ts";
import type { OperandSize } from "../../src/isa/semantics.ts";
import { compare, type Difference, guestOutcome, hostOutcome } from "./compare.ts";
import { Generator } from "./generate/generator.ts";
import { Random } from "./generate/values.ts";
import { GuestProcessor, TIERS, type Tier } from "./guest-processor.ts";
import { linearAddress } from "./linear-address.ts";
import { type HostIdentity, identifyHost } from "./native/features.ts";
import { MAX_BATCH, NativeProcessor } from "./native/native-processor.ts";
import { type Bits, FIELD, INPUT_SIZE, NO_VECTOR, OUTPUT_SIZE } from "./record.ts";

export interface Mismatch {
  readonly tier: Tier;
  /** The instruction as text, and its bytes. */
  readonly text: string;
  readonly bytes: string;
  readonly input: Uint8Array;
  readonly differences: readonly Difference[];
}

export interface FormResult {
  readonly tests: number;
  /** Tests in which the host's processor raised an exception. */
  readonly faults: number;
  /** Tests without an exception that ran in a region as a whole; the interpreter did the others, for the translator. */
  readonly translated: number;
  /** Tests in which a tier differs from the host's processor. */
  readonly mismatches: number;
  /** The first few. */
  readonly examples: readonly Mismatch[];
}

/** A result while it is added up. */
type Counts = { -readonly [K in keyof FormResult]: FormResult[K] } & { examples: Mismatch[] };

/** Bytes: more than the largest operand and what surrounds an instruction. */
const NEAR_CODE = 640n;
const EXAMPLES = 4;
const PAGE_FAULT = 14;

const view = (bytes: Uint8Array, index: number, size: number) =>
  new DataView(bytes.buffer, bytes.byteOffset + index * size, size);

export class Tester {
  readonly native = new NativeProcessor();
  readonly #guests: readonly (readonly [Tier, GuestProcessor])[];
  readonly host: HostIdentity = identifyHost(this.native);
  /** Compares also what the manual leaves undefined. */
  readonly #strict: boolean;
  /** Adds prefixes that instructions do not ask for. */
  readonly #prefixes: boolean;
  readonly #output = new DataView(new ArrayBuffer(OUTPUT_SIZE));

  constructor(options: { tiers?: readonly Tier[]; strict?: boolean; prefixes?: boolean } = {}) {
    this.#guests = (options.tiers ?? TIERS).map((tier) => [tier, new GuestProcessor(tier)]);
    this.#strict = options.strict ?? false;
    this.#prefixes = options.prefixes ?? false;
  }

  /** What the host lacks to run the form; undefined where it lacks nothing. */
  inability(form: Form, bits: Bits): string | undefined {
    if (bits === 16 && !this.native.hasLocalSegments) return "the host lets no program have 16-bit segments";
    const feature = form.instruction.feature ?? "base";
    return this.host.has(feature) ? undefined : `the host has no ${feature}`;
  }

  /** `count` tests of `form`; the same `seed` gives the same tests. Undefined where the form has no encoding in `bits`. */
  run(form: Form, bits: Bits, count: number, seed: number): FormResult | undefined {
    const generator = new Generator(bits, new Random(seed), this.#prefixes);
    const sizes = generator.operandSizes(form);
    if (sizes.length === 0) return undefined;
    const result: Counts = { tests: 0, faults: 0, translated: 0, mismatches: 0, examples: [] };
    for (let left = count; left > 0; left -= MAX_BATCH)
      this.#batch(generator, form, sizes, Math.min(left, MAX_BATCH), result);
    return result;
  }

  #batch(generator: Generator, form: Form, sizes: readonly OperandSize[], count: number, result: Counts): void {
    const { input, output } = this.native;
    for (let i = 0; i < count; i++) generator.generate(form, sizes, view(input, i, INPUT_SIZE));
    this.native.run(count);
    for (let i = 0; i < count; i++) {
      const before = view(input, i, INPUT_SIZE);
      const expected = view(output, i, OUTPUT_SIZE);
      const decoded = this.#decode(before, generator.bits);
      if (typeof decoded !== "string" && decoded.form !== form) {
        // With a prefix it can be another instruction.
        if (!this.#prefixes) throw new Error(`${bytesText(before)} is no ${form.instruction.name} (${form.text})`);
        if (decoded.form.instruction.untested) continue;
      }
      if (typeof decoded !== "string" && looksAtCode(decoded, before, generator.bits)) continue;
      result.tests++;
      const faults = hostOutcome(before, expected).vector !== NO_VECTOR;
      if (faults) result.faults++;
      for (const [tier, guest] of this.#guests) {
        const isWhole = guest.run(before, this.#output);
        if (tier === "translator" && isWhole && !faults) result.translated++;
        const { bits } = generator;
        const settings = { bits, decoded, input: before, vendor: this.host.vendor, strict: this.#strict };
        const differences = compare(settings, expected, this.#output);
        if (differences.length === 0 || this.#findsHost()) continue;
        result.mismatches++;
        if (result.examples.length >= EXAMPLES) continue;
        const text =
          typeof decoded === "string"
            ? `(${form.instruction.name})`
            : disassemble(decoded, before.getBigUint64(FIELD.rip, true));
        const input = new Uint8Array(
          before.buffer.slice(before.byteOffset, before.byteOffset + INPUT_SIZE) as ArrayBuffer,
        );
        result.examples.push({ tier, text, bytes: bytesText(before), input, differences });
      }
    }
  }

  /** Whether the guest faulted where the host's process happens to have memory: then the test says nothing. */
  #findsHost(): boolean {
    const { vector, cr2 } = guestOutcome(this.#output);
    return vector === PAGE_FAULT && this.native.hasOwnMemory(cr2);
  }

  #decode(record: DataView, bits: Bits): Decoded | DecodeFailure {
    const bytes = new Uint8Array(record.buffer, record.byteOffset + FIELD.bytes, 16);
    return decode(bytes, 0, 16, { long: bits === 64, code32: bits === 32 }, () => true);
  }
}

/** Whether a memory operand lies so near the instruction that it may hold what each side has put around that. */
function looksAtCode(decoded: Decoded, input: DataView, bits: Bits): boolean {
  const address = linearAddress(decoded, input, bits);
  const distance = address === undefined ? undefined : address - BigInt(input.getUint32(FIELD.code, true));
  return distance !== undefined && distance > -NEAR_CODE && distance < NEAR_CODE;
}

function bytesText(record: DataView): string {
  const bytes = new Uint8Array(record.buffer, record.byteOffset + FIELD.bytes, record.getUint8(FIELD.length));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
