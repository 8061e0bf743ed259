/**
 * Random sequences that the host's own processor can run as well: 64-bit or compatibility mode at privilege level 3, in
 * the places of test/conformance/record.ts.
 */
import { type Assembled, AssemblyError, assemble } from "../../../src/isa/assemble.ts";
import type { Feature, Form } from "../../../src/isa/instruction.ts";
import { RBP, RBX, RDI, RSI, RSP } from "../../../src/isa/semantics.ts";
import type { Random } from "../../conformance/generate/values.ts";
import { PLACE, SPOTS } from "../../conformance/record.ts";
import { CONDITIONS, type Forms, formsThat, type Surroundings, Writer } from "../generate.ts";

export type HostBits = 32 | 64;

export interface HostSequence {
  readonly bits: HostBits;
  /** Linear address of the first instruction. */
  readonly start: number;
  /** One instruction each, or a few that belong together. An empty one keeps its label. */
  readonly units: readonly string[];
}

/** The last of these registers counts down in backward jumps; the others hold addresses. */
const REGISTERS = { 32: [RBX, RSI, RDI, RBP], 64: [RBX, RBP, RSI, RDI, 12, 13, 14, 15] } as const;
export const pointersOf = (bits: HostBits): readonly number[] => REGISTERS[bits].slice(0, -1);
export const counterOf = (bits: HostBits): number => REGISTERS[bits].at(-1) as number;

/**
 * What no sequence has: state that differs from one maker's processors to another's, results that are approximations,
 * selectors, and operands that must be laid out first.
 */
const LEFT_OUT =
  /^(f2xm1|fyl2xp?1?|fptan|fpatan|fsin|fcos|fsincos|fn?stenv|fldenv|fn?save|frstor|fldcw|fxsave|fxrstor|x?save|fu?comip?|rcp[ps]s|rsqrt[ps]s|maskmov|ldmxcsr|popf|popa|l[sfdeg]s|lar|lsl|verr|verw|arpl|dpp[sd]|(push|pop) [c-gs]s|clzero)/;

/** The forms that a host with these features has. */
export function hostForms(has: (feature: Feature) => boolean): Forms {
  const suits = ({ instruction, operands }: Form) =>
    instruction.untested === undefined &&
    !instruction.privileged &&
    !LEFT_OUT.test(instruction.name) &&
    has(instruction.feature ?? "base") &&
    !operands.some(({ file, place }) => file === "segment" || place === "far");
  return formsThat(suits);
}

/** Where the window has contents, mostly; near its pages' ends, too. */
export function dataOffset(random: Random): number {
  const middle = SPOTS[1] as (typeof SPOTS)[number];
  const kind = random.below(20);
  if (kind < 13) return PLACE.window + middle.offset + 16 * random.below(middle.size / 16);
  if (kind < 16) return PLACE.window + 0x1000 - random.below(40);
  if (kind < 17) return PLACE.readOnly - random.below(80);
  return PLACE.window + random.below(PLACE.windowSize + (kind < 19 ? 0 : 0x100));
}

function surroundings(bits: HostBits, forms: Forms): Surroundings {
  const kept = [RSP, ...REGISTERS[bits]];
  return {
    bits,
    code: PLACE.code,
    data: PLACE.window + (SPOTS[1]?.offset ?? 0),
    flat: true,
    pointers: pointersOf(bits),
    kept,
    spared: 30,
    overridden: 100,
    aligns: true,
    dataOffset: (random) => dataOffset(random as Random),
    forms,
  };
}

/** Units that stand where others may, each with how often. */
class HostWriter {
  readonly #writer: Writer;
  readonly #random: Random;
  readonly #forms: Forms;
  readonly #bits: HostBits;
  /** Whether some units change code: regions of it do not last then. */
  readonly #patches: boolean;

  constructor(bits: HostBits, random: Random, forms: Forms, count: number) {
    this.#bits = bits;
    this.#random = random;
    this.#forms = forms;
    this.#patches = random.chance(35);
    this.#writer = new Writer(surroundings(bits, forms), random, count);
  }

  unit(position: number): string {
    const random = this.#random;
    const writer = this.#writer;
    const { plain, usual, wild } = this.#forms;
    const kind = random.below(1000);
    if (kind < 430) return writer.plain(usual);
    if (kind < 620) return writer.plain(plain);
    if (kind < 720) return `j${random.pick(CONDITIONS)} ${writer.labelAhead(position)}`;
    if (kind < 765) return this.#loop(position);
    if (kind < 795) return `call ${writer.labelAhead(position)}`;
    if (kind < 810) return "ret";
    if (kind < 830) return writer.indirect(position);
    if (kind < 865) return this.#patches ? writer.patch(position) : writer.plain(usual);
    if (kind < 895) return this.#string();
    if (kind < 930) return this.#flags();
    if (kind < 940) return this.#control();
    if (kind < 980) return writer.reload();
    if (kind < 986) return this.#fault();
    if (kind < 990) return writer.plain(wild);
    return `jmp ${writer.labelAhead(position)}`;
  }

  /** A jump back that a count bounds, unless something else changes that. */
  #loop(position: number): string {
    const random = this.#random;
    const near = `at${position - random.below(Math.min(4, position + 1))}`;
    const back = random.chance(50) ? near : this.#writer.labelBefore(position);
    if (random.chance(25)) return `loop ${random.chance(50) ? back : this.#writer.labelAhead(position)}`;
    return `dec ${this.#writer.register(counterOf(this.#bits))}\n jg ${back}`;
  }

  #string(): string {
    const random = this.#random;
    const writer = this.#writer;
    const sizes = this.#bits === 64 ? ["b", "w", "d", "q"] : ["b", "w", "d"];
    const name = random.pick(["movs", "stos", "lods", "cmps", "scas"]) + random.pick(sizes);
    const repeat = random.pick(["", "rep ", "repe ", "repne "]);
    const pointers = [RSI, RDI].map((register) => `mov ${writer.register(register)},${dataOffset(random)}`);
    return [
      ...(random.chance(15) ? [random.pick(["std", "cld"])] : []),
      ...(random.chance(60) ? pointers : []),
      ...(random.chance(60) ? [`mov ${writer.register(1)},${random.below(70)}`] : []),
      `${repeat}${name}`,
    ].join("\n ");
  }

  /** Stores, takes and changes flags as a whole. */
  #flags(): string {
    const random = this.#random;
    const image = (random.next() & 0x8d5) | 0x202 | (random.chance(10) ? 0x400 : 0) | (random.chance(5) ? 0x4_0000 : 0);
    return random.pick([
      "lahf",
      "sahf",
      this.#bits === 64 ? "pushfq" : "pushfd",
      `push ${image}\n ${this.#bits === 64 ? "popfq" : "popfd"}`,
      "cmc",
      "stc",
      "clc",
    ]);
  }

  /** Sets how numbers with fractions are rounded, and which exceptions they raise. */
  #control(): string {
    const random = this.#random;
    const place = `[${PLACE.window + 0x1000 - 64 + random.below(120)}]`;
    if (random.chance(50)) {
      const control = 0x1f80 & ~(random.chance(15) ? random.next() : 0);
      return `mov dword ptr ${place},${control | (random.next() & 0xe07f)}\n ldmxcsr dword ptr ${place}`;
    }
    const control = (random.next() & 0xf00) | 0x7f;
    return `mov word ptr ${place},${random.chance(85) ? control : control & ~(random.next() & 0x3f)}\n fldcw word ptr ${place}`;
  }

  #fault(): string {
    const random = this.#random;
    const register = this.#writer.register(random.pick(REGISTERS[this.#bits]));
    const nowhere = random.pick([PLACE.window - 8, PLACE.readOnly + PLACE.readOnlySize - 3, 0, PLACE.code - 4]);
    return random.pick([
      "ud2",
      "hlt",
      "xor ecx,ecx\n div ecx",
      `mov dword ptr [${PLACE.readOnly + random.below(64) - 8}],${random.below(1000)}`,
      `mov eax,[${nowhere}]`,
      `add dword ptr [${nowhere}],3`,
      `mov ${register},${nowhere}`,
      `mov ${this.#writer.register(RSP)},${PLACE.window + random.pick([0, 4, 8, PLACE.windowSize + 4])}`,
    ]);
  }
}

const instructionsIn = (unit: string) => unit.split("\n").length;

/** A sequence of 5 to 50 instructions. */
export function randomHostSequence(bits: HostBits, random: Random, forms: Forms): HostSequence {
  const count = 5 + random.below(46);
  // Some span the two pages.
  const offset = random.below(3) === 0 ? 0x1000 - random.below(count * 4) : 0x40 + 16 * random.below(64);
  for (;;) {
    const writer = new HostWriter(bits, random, forms, count);
    const units: string[] = [];
    for (let left = count; left > 0; left -= instructionsIn(units.at(-1) as string)) {
      units.push(writer.unit(units.length));
    }
    // Labels beyond the end, as some units are more than one instruction.
    for (let i = units.length; i < count; i++) units.push("");
    const sequence = { bits, start: PLACE.code + offset, units };
    try {
      assembleUnits(sequence);
      return sequence;
    } catch (error) {
      // LOOP does not reach every label.
      if (!(error instanceof AssemblyError)) throw error;
    }
  }
}

export interface AssembledUnits {
  /** All of the code's place, INT3 where there is nothing else. */
  readonly image: Uint8Array;
  /** Linear address behind the sequence. */
  readonly end: number;
  /** Number of the unit that an address is in. */
  unitAt(address: number): number;
}

/** Throws AssemblyError where a jump does not reach its label. */
export function assembleUnits({ bits, start, units }: HostSequence): AssembledUnits {
  const lines = units.flatMap((unit, i) => [`at${i}:`, unit]);
  // A region is made of what a jump ends; INT3 is left to the interpreter, with what stands right before it.
  const source = [...lines, `at${units.length}: jmp end`, "end: int3"].join("\n");
  const { bytes, symbols }: Assembled = assemble(source, { bits, origin: BigInt(start) });
  const image = new Uint8Array(PLACE.codeSize).fill(0xcc);
  image.set(bytes, start - PLACE.code);
  const starts = units.map((_, i) => Number(symbols.get(`at${i}`)));
  return {
    image,
    end: start + bytes.length - 1,
    unitAt: (address) => starts.findLastIndex((at) => at <= address),
  };
}
