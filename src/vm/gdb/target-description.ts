/**
 * The description of the target that gdb reads: architecture and registers.
 * @spec Debugging with GDB, appendix G "Target Descriptions", G.5.4 "i386 Features"
 */
import { CR0, CR4, EFER, FLAG } from "../../cpu/system/mode.ts";
import type { Architecture, RegisterFeature } from "./debug-target.ts";

/** Registers that are shown as the names of the bits that are set. */
const FLAGS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  i386_eflags: FLAG,
  cr0: CR0,
  cr4: CR4,
  efer: EFER,
};

/** Ways to see an XMM register: name of the member, of its type, the elements' type, and their number. */
const VECTORS: readonly (readonly [member: string, id: string, element: string, count: number])[] = [
  ["v4_float", "v4f", "ieee_single", 4],
  ["v2_double", "v2d", "ieee_double", 2],
  ["v16_int8", "v16i8", "int8", 16],
  ["v8_int16", "v8i16", "int16", 8],
  ["v4_int32", "v4i32", "int32", 4],
  ["v2_int64", "v2i64", "int64", 2],
];

/** One bit each, lowest first; what is wider, or always set, is no flag. */
function flagsType(id: string, bits: number): readonly string[] {
  const fields = Object.entries(FLAGS[id] ?? {})
    .filter(([name, mask]) => name !== "fixed" && (mask & (mask - 1)) === 0)
    .map(([name, mask]) => ({ name, bit: 31 - Math.clz32(mask) }));
  return [
    `<flags id="${id}" size="${bits / 8}">`,
    ...fields.map(({ name, bit }) => `<field name="${name}" start="${bit}" end="${bit}"/>`),
    "</flags>",
  ];
}

const VECTOR_TYPES = [
  ...VECTORS.map(([, id, element, count]) => `<vector id="${id}" type="${element}" count="${count}"/>`),
  '<union id="vec128">',
  ...VECTORS.map(([member, id]) => `<field name="${member}" type="${id}"/>`),
  '<field name="uint128" type="uint128"/>',
  "</union>",
];

/** Types that a feature must define before its registers use them. */
function typesOf({ registers }: RegisterFeature): readonly string[] {
  const flags = registers.filter(({ type }) => type in FLAGS).flatMap(({ type, bits }) => flagsType(type, bits));
  return registers.some(({ type }) => type === "vec128") ? [...flags, ...VECTOR_TYPES] : flags;
}

/** target.xml */
export function targetDescription(architecture: Architecture, features: readonly RegisterFeature[]): string {
  const lines = [
    '<?xml version="1.0"?>',
    '<!DOCTYPE target SYSTEM "gdb-target.dtd">',
    '<target version="1.0">',
    `<architecture>${architecture}</architecture>`,
    // Otherwise gdb warns that its own default has no 16-bit code.
    ...(architecture === "i8086" ? ["<osabi>none</osabi>"] : []),
    ...features.flatMap((feature) => [
      `<feature name="${feature.name}">`,
      ...typesOf(feature),
      ...feature.registers.map(({ name, bits, type, group }) => {
        const grouped = group === undefined ? "" : ` group="${group}"`;
        return `<reg name="${name}" bitsize="${bits}" type="${type}"${grouped}/>`;
      }),
      "</feature>",
    ]),
    "</target>",
  ];
  return lines.join("\n");
}
