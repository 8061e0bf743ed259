/** Runs random tests of a form on both processors. */
import { type Decoded, type DecodeFailure, decode } from "../../src/cpu/decode/decoder.ts";
import { disassemble } from "../../src/isa/disassemble.ts";
import type { Form } from "../../src/isa/instruction.ts";
import type { OperandSize } from "../../src/isa/semantics.ts";
import { compare, type Difference } from "./compare.ts";
import { Generator } from "./generate/generator.ts";
import { Random } from "./generate/values.ts";
import { GuestProcessor } from "./guest-processor.ts";
import { type HostIdentity, identifyHost } from "./native/features.ts";
import { MAX_BATCH, NativeProcessor } from "./native/native-processor.ts";
import { type Bits, FIELD, INPUT_SIZE, OUTPUT_SIZE } from "./record.ts";

export interface Mismatch {
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
  readonly mismatches: number;
  /** The first few. */
  readonly examples: readonly Mismatch[];
}

const EXAMPLES = 4;

const view = (bytes: Uint8Array, index: number, size: number) =>
  new DataView(bytes.buffer, bytes.byteOffset + index * size, size);

export class Tester {
  readonly native = new NativeProcessor();
  readonly guest = new GuestProcessor();
  readonly host: HostIdentity = identifyHost(this.native);
  /** Compares also what the manual leaves undefined. */
  readonly #strict: boolean;
  /** Adds prefixes that instructions do not ask for. */
  readonly #prefixes: boolean;
  readonly #output = new DataView(new ArrayBuffer(OUTPUT_SIZE));

  constructor(options: { strict?: boolean; prefixes?: boolean } = {}) {
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
    const result = { tests: 0, faults: 0, mismatches: 0, examples: [] as Mismatch[] };
    for (let left = count; left > 0; left -= MAX_BATCH)
      this.#batch(generator, form, sizes, Math.min(left, MAX_BATCH), result);
    return result;
  }

  #batch(
    generator: Generator,
    form: Form,
    sizes: readonly OperandSize[],
    count: number,
    result: { tests: number; faults: number; mismatches: number; examples: Mismatch[] },
  ): void {
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
      this.guest.run(before, this.#output);
      const { bits } = generator;
      const settings = { bits, decoded, input: before, vendor: this.host.vendor, strict: this.#strict };
      const differences = compare(settings, expected, this.#output);
      result.tests++;
      if (expected.getUint32(FIELD.vector, true) !== 3) result.faults++;
      if (differences.length === 0) continue;
      result.mismatches++;
      if (result.examples.length < EXAMPLES) {
        result.examples.push({
          text:
            typeof decoded === "string"
              ? `(${form.instruction.name})`
              : disassemble(decoded, before.getBigUint64(FIELD.rip, true)),
          bytes: bytesText(before),
          input: new Uint8Array(before.buffer.slice(before.byteOffset, before.byteOffset + INPUT_SIZE) as ArrayBuffer),
          differences,
        });
      }
    }
  }

  #decode(record: DataView, bits: Bits): Decoded | DecodeFailure {
    const bytes = new Uint8Array(record.buffer, record.byteOffset + FIELD.bytes, 16);
    return decode(bytes, 0, 16, { long: bits === 64, code32: bits === 32 }, () => true);
  }
}

function bytesText(record: DataView): string {
  const bytes = new Uint8Array(record.buffer, record.byteOffset + FIELD.bytes, record.getUint8(FIELD.length));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
