import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import { assemble } from "../../isa/assemble.ts";
import { disassemble } from "../../isa/disassemble.ts";
import type { CodeBits } from "../../isa/encode.ts";
import { FORMS } from "../../isa/index.ts";
import { randomEncoding } from "../../isa/testing/random-encoding.ts";
import { type Decoded, decode } from "./decoder.ts";

const skip = spawnSync("objdump", ["--version"]).status === 0 ? false : "objdump is not installed";
const MACHINES = { 16: "i8086", 32: "i386", 64: "i386:x86-64" } as const;
const INSTANCES = 8;

interface Instance {
  readonly code: Uint8Array;
  readonly decoded: Decoded;
}

const modeOf = (bits: CodeBits) => ({ long: bits === 64, code32: bits === 32 });

/** Random instances of every form that there is in `bits` code. */
function instances(bits: CodeBits, seed: number): Instance[] {
  const random = new SeededRandom(seed);
  const found: Instance[] = [];
  for (const form of FORMS) {
    for (let i = 0; i < INSTANCES; i++) {
      const encoding = randomEncoding(random, form, bits);
      if (!encoding) continue;
      const { code } = encoding;
      const decoded = decode(code, 0, code.length, modeOf(bits), () => true);
      assert.ok(typeof decoded !== "string", `${form.instruction.name} ${form.text}: ${decoded}`);
      assert.equal(decoded.form.text, form.text, Buffer.from(code).toString("hex"));
      assert.equal(decoded.length, code.length, form.text);
      found.push({ code, decoded });
    }
  }
  return found;
}

/** objdump's text of each instruction that starts at one of `starts`. */
function objdump(bits: CodeBits, code: Uint8Array): Map<number, string> {
  const directory = mkdtempSync(join(tmpdir(), "objdump-"));
  try {
    const file = join(directory, "code.bin");
    writeFileSync(file, code);
    const options = ["-D", "-b", "binary", "-m", MACHINES[bits], "-M", "intel", "--no-show-raw-insn", file];
    const output = execFileSync("objdump", options, { encoding: "utf8", maxBuffer: 1 << 28 });
    const lines = output.matchAll(/^\s*([0-9a-f]+):\s+(.*)$/gm);
    return new Map([...lines].map((match) => [Number.parseInt(match[1] as string, 16), match[2] as string]));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** One spelling for what the two write differently without a difference in meaning. */
function plain(text: string): string {
  return text
    .replace(/\s*#.*/, "")
    .toLowerCase()
    .replace(/\s+/g, " ")
    .trim()
    .replace(/^((addr|data)(16|32) |rex(\.\w+)? )+/, "")
    .replace(/ ptr/g, "")
    .replace("movabs", "mov")
    .replace(/^repz /, "repe ")
    .replace(/^repnz /, "repne ")
    .replace("oword", "xmmword")
    .replace(/\+eiz\*\d|\+riz\*\d/, "")
    .replace(/\[eiz\*1\+?(0x[0-9a-f]+)?\]/, (_all, offset: string | undefined) => `ds:${offset ?? "0x0"}`)
    .replace(/(..):ds:/, "$1:")
    .replace("+0x0]", "]")
    .replace(/([a-z]s):\[(0x[0-9a-f]+)\]/, "$1:$2")
    .replace(/(byte|word|dword|qword) (.s:0x[0-9a-f]+)/, "$2")
    .replace(/ip\+0x([0-9a-f]{16})/, (_all, digits: string) => {
      return `ip-0x${(0x1_0000_0000_0000_0000n - BigInt(`0x${digits}`)).toString(16)}`;
    });
}

/** What objdump writes in another manner, or does not know: our text, and why. */
const OTHERWISE: readonly (readonly [RegExp, string])[] = [
  [/^nop/, "names for 0F 19 to 0F 1E from extensions that are not there; 66 90 as xchg"],
  [/^prefetch/, "names from extensions that are not there"],
  [/^(salc|[lms]fence|wbinvd)/, "unknown to it, with the aliases or prefixes that are tried"],
  [/^(fneni|fndisi|fnsetpm)/, "with a remark"],
  [/^fwait/, "apart from prefixes"],
  [/^(leave|push|pop|iret|retf|sysret|sysexit|[ls][gi]dt)/, "with other suffixes for the operand size"],
  [/^(xlatb|([a-z]+ )?(movs|cmps|stos|lods|scas|ins|outs)[bwdq]$)/, "with operands"],
  [/^(pblendvb|blendvp[sd]|sha256rnds2)/, "with XMM0 as an operand"],
  [/^(cmp[ps][sd]|pclmulqdq) /, "with the immediate as a part of the name"],
  [/^(lddqu|mov .s,|lar |lsl |bound|invlpg|invpcid|l[fgs]s r|(jmp|call) far)/, "with another size of the operand"],
  [/^movsxd .?.?.w?,/, "always with a doubleword source"],
  [/^(in|out) .*rax/, "with EAX: REX.W changes nothing"],
];

for (const bits of [16, 32, 64] as const) {
  test(`random ${bits}-bit instances of every form disassemble to what objdump writes`, { skip }, () => {
    const all = instances(bits, bits);
    const theirs = objdump(bits, Buffer.concat(all.map(({ code }) => code)));
    const different: string[] = [];
    let at = 0;
    for (const { code, decoded } of all) {
      const ours = plain(disassemble(decoded, BigInt(at)));
      // It knows no aliases of x87 instructions.
      const alias = (decoded.form.opcode & 0xf8) === 0xd8 && theirs.get(at)?.startsWith("(bad)");
      if (!alias && !OTHERWISE.some(([pattern]) => pattern.test(ours))) {
        const text = plain(theirs.get(at) ?? "nothing");
        if (ours !== text)
          different.push(`${Buffer.from(code).toString("hex")} ${decoded.form.text}: ${ours} | ${text}`);
      }
      at += code.length;
    }
    assert.deepEqual(different, []);
  });

  test(`the text of a ${bits}-bit instruction assembles to an instruction with the same text`, () => {
    for (const { code, decoded } of instances(bits, bits + 1)) {
      const text = disassemble(decoded, 0x1000n);
      // The top of the x87 stack with itself has two encodings.
      if (/st,st\(0\)|st\(0\),st/.test(text)) continue;
      // Not in the text: the size of an address without registers, and the operand size of these.
      if (/:\[/.test(text) || /^(push 0|leave|push ..$|pop ..$|enter|ret|call|jmp)/.test(text)) continue;
      const { bytes } = assemble(text, { bits, origin: 0x1000n });
      const again = decode(bytes, 0, bytes.length, modeOf(bits), () => true);
      assert.ok(typeof again !== "string", text);
      // Another encoding may be shorter: then only distances differ.
      if (bytes.length !== code.length && /\bip|rip/.test(text)) continue;
      assert.equal(disassemble(again, 0x1000n), text);
    }
  });
}
