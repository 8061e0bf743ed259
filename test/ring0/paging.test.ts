/** Address translation as ring 0 sets it up. @spec SDM 3A chapter 4 */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  attempt,
  changeControl,
  exceptionsOf,
  INTERRUPT_STACK,
  type Mode,
  PAGED,
  PTE,
  run,
  SCRATCH,
  show,
  TSS,
  toUser,
} from "./kernel.ts";

/** A linear address far from all that the kernel uses; each directory entry maps this much. */
const FAR = 0x4000_0000;
const span = (mode: Mode): number => (mode === "paged" ? 4 << 20 : 2 << 20);
const OPEN = PTE.P | PTE.RW | PTE.US;
/** Error code bits. @spec SDM 3A figure 4-12 */
const ERROR = { P: 1, W: 2, U: 4, RSVD: 8, ID: 16 } as const;
const WRITE_PROTECT = 0x1_0000;
const fault = (error: number, address: number): string => `#14(${error.toString(16)})@${address.toString(16)}`;

for (const mode of PAGED) {
  // SDM 3A 4.6.1: rights are those that all levels grant; ring 0 may write anywhere while CR0.WP is clear.
  test(`${mode}: each combination of R/W and U/S in both lower levels lets through what it should`, () => {
    const rights = [0, PTE.RW, PTE.US, PTE.RW | PTE.US];
    const pages = rights.flatMap((upper, i) =>
      rights.map((lower, j) => ({ upper, lower, linear: FAR + i * span(mode) + j * 4096 })),
    );
    const expected: string[] = [];
    const allow = (allowed: boolean, error: number, linear: number) => {
      if (!allowed) expected.push(fault(error | ERROR.P, linear));
    };
    const read = ({ linear }: { linear: number }) => attempt(`mov eax,[${linear}]`);
    const write = ({ linear }: { linear: number }) => attempt(`mov dword ptr [${linear}],1`);
    const each = (access: (page: (typeof pages)[number]) => string) => pages.map(access).join("");
    for (const { upper, lower, linear } of pages) allow((upper & lower & PTE.RW) !== 0, ERROR.W, linear);
    for (const { upper, lower, linear } of pages) allow((upper & lower & PTE.US) !== 0, ERROR.U, linear);
    for (const { upper, lower, linear } of pages)
      allow((upper & lower) === (PTE.RW | PTE.US), ERROR.U | ERROR.W, linear);
    const program = `
      ${each(read)} ${each(write)}
      ${changeControl(mode, "cr0", WRITE_PROTECT)}
      ${each(read)} ${each(write)}
      ${toUser(mode, "user")}
    user:
      ${each(read)} ${each(write)}
      hlt`;
    const actual = exceptionsOf(mode, program, {
      setup: (kernel) =>
        pages.forEach(({ upper, lower, linear }, n) => {
          kernel.map(linear, (SCRATCH + n * 4096) | PTE.P | lower);
          const directory = kernel.entries(linear).at(-2) as number;
          kernel.setEntry(directory, (kernel.entry(directory) & ~7n) | BigInt(PTE.P | upper));
        }),
    });
    assert.deepEqual(actual, [...expected, "#13(0)"]);
  });

  test(`${mode}: a page that is not present faults with the kind of access in its error code`, () => {
    const program = `
      ${attempt(`mov eax,[${FAR + 0x123}]`)}
      ${attempt(`mov byte ptr [${FAR + 0xfff}],1`)}
      ${attempt(`add dword ptr [${FAR}],1`)}
      ${toUser(mode, "user")}
    user:
      ${attempt(`mov eax,[${FAR + 0x10}]`)}
      ${attempt(`mov dword ptr [${FAR + 0x20}],1`)}
      hlt`;
    assert.deepEqual(exceptionsOf(mode, program), [
      fault(0, FAR + 0x123),
      fault(ERROR.W, FAR + 0xfff),
      fault(ERROR.W, FAR),
      fault(ERROR.U, FAR + 0x10),
      fault(ERROR.U | ERROR.W, FAR + 0x20),
      "#13(0)",
    ]);
  });

  // SDM 3A 4.7: bit 4 is set for fetches where CR4.SMEP is set, or CR4.PAE and IA32_EFER.NXE.
  test(`${mode}: a fetch from a page that is not present tells so where the mode has execute rights`, () => {
    const id = mode === "paged" ? 0 : ERROR.ID;
    const program = `
      ${attempt(`mov eax,${FAR + 8}\n jmp ${mode === "long" ? "rax" : "eax"}`)}
      hlt`;
    assert.deepEqual(exceptionsOf(mode, program), [fault(id, FAR + 8)]);
  });

  // SDM 3A 4.8. PDPTEs of PAE paging have no accessed flag.
  test(`${mode}: a read sets the accessed flag at every level, a write the dirty flag of the page`, () => {
    const kernel = run(mode, `mov eax,[${FAR}]\n mov eax,[${FAR + 4096}]\n mov dword ptr [${FAR + 4096}],5\n hlt`, {
      setup: (kernel) => {
        for (let page = 0; page < 3; page++) kernel.map(FAR + page * 4096, (SCRATCH + page * 4096) | OPEN);
      },
    });
    const flags = (linear: number) => Number(kernel.page(linear)) & (PTE.A | PTE.D);
    assert.equal(flags(FAR), PTE.A);
    assert.equal(flags(FAR + 4096), PTE.A | PTE.D);
    assert.equal(flags(FAR + 8192), 0);
    const above = kernel.entries(FAR).slice(mode === "pae" ? 1 : 0, -1);
    for (const at of above) assert.equal(Number(kernel.entry(at)) & (PTE.A | PTE.D), PTE.A);
    assert.equal(kernel.ram.getUint32(SCRATCH + 4096, true), 5);
  });

  test(`${mode}: a write that faults leaves the page clean`, () => {
    const kernel = run(
      mode,
      `${changeControl(mode, "cr0", WRITE_PROTECT)} ${attempt(`mov dword ptr [${FAR}],1`)} hlt`,
      {
        setup: (kernel) => kernel.map(FAR, SCRATCH | PTE.P),
      },
    );
    assert.deepEqual(show(kernel.exceptions), [fault(ERROR.P | ERROR.W, FAR)]);
    assert.equal(Number(kernel.page(FAR)) & PTE.D, 0);
    assert.equal(kernel.ram.getUint32(SCRATCH, true), 0);
  });

  test(`${mode}: a directory entry with PS maps a large page, with accessed and dirty flags of its own`, () => {
    const kernel = run(mode, `mov dword ptr [${FAR + SCRATCH + 4}],0x1234\n mov eax,[${FAR + span(mode)}]\n hlt`, {
      setup: (kernel) => {
        for (const linear of [FAR, FAR + span(mode)]) {
          kernel.map(linear, 0);
          kernel.setEntry(kernel.entries(linear).at(-2) as number, OPEN | PTE.PS);
        }
      },
    });
    assert.equal(kernel.ram.getUint32(SCRATCH + 4, true), 0x1234);
    const flags = (linear: number) => Number(kernel.entry(kernel.entries(linear).at(-2) as number)) & 0xff;
    assert.equal(flags(FAR), OPEN | PTE.PS | PTE.A | PTE.D);
    assert.equal(flags(FAR + span(mode)), OPEN | PTE.PS | PTE.A);
  });
}

test("4-level paging maps pages of 1 GiB", () => {
  const kernel = run("long", `mov dword ptr [${FAR + SCRATCH + 8}],0x4321\n hlt`, {
    setup: (kernel) => {
      kernel.map(FAR, 0);
      kernel.setEntry(kernel.entries(FAR)[1] as number, OPEN | PTE.PS);
    },
  });
  assert.equal(kernel.ram.getUint32(SCRATCH + 8, true), 0x4321);
});

test("without CR4.PSE, a directory entry's PS bit means nothing", () => {
  const kernel = run("paged", `${changeControl("paged", "cr4", 0, 0x10)}\n mov dword ptr [${FAR}],7\n hlt`, {
    setup: (kernel) => {
      kernel.map(FAR, SCRATCH | OPEN);
      const directory = kernel.entries(FAR)[0] as number;
      kernel.setEntry(directory, kernel.entry(directory) | BigInt(PTE.PS));
    },
  });
  assert.equal(kernel.ram.getUint32(SCRATCH, true), 7);
});

/** Reads `at` with one bit set in the entry `level` from the bottom, that of a large page where `large`. */
function reserved(
  mode: Mode,
  level: number,
  bit: bigint,
  options: { large?: boolean; noNx?: boolean; at?: number } = {},
): string[] {
  const linear = options.at ?? FAR;
  const clearNxe = `
    mov ecx,0xc0000080
    rdmsr
    and eax,0xfffff7ff
    wrmsr`;
  return exceptionsOf(
    mode,
    `${options.noNx ? clearNxe : ""} ${attempt(`mov ${mode === "long" ? "r" : "e"}si,${linear}\n mov eax,[${mode === "long" ? "r" : "e"}si]`)} hlt`,
    {
      setup: (kernel) => {
        kernel.map(linear, SCRATCH | OPEN);
        const at = kernel.entries(linear).at(-1 - level) as number;
        if (options.large) kernel.setEntry(at, OPEN | PTE.PS);
        kernel.setEntry(at, kernel.entry(at) | bit);
      },
    },
  );
}

// SDM 3A 4.3–4.5, tables of reserved bits; the processor has 40 physical address bits.
for (const mode of ["pae", "long"] as const) {
  test(`${mode}: reserved bits in a paging-structure entry raise #PF with RSVD`, () => {
    const expected = [fault(ERROR.P | ERROR.RSVD, FAR)];
    for (const level of [0, 1]) assert.deepEqual(reserved(mode, level, 1n << 40n), expected, `level ${level}`);
    assert.deepEqual(reserved(mode, 0, 1n << 63n, { noNx: true }), expected, "XD without IA32_EFER.NXE");
    assert.deepEqual(reserved(mode, 1, 1n << 13n, { large: true }), expected, "frame bits of a large page");
    assert.deepEqual(reserved(mode, 0, 1n << 63n), [], "XD does not keep from reading");
  });
}

test("long: PS is reserved in the top level, and low frame bits are in a page of 1 GiB", () => {
  const at = 2 ** 39;
  assert.deepEqual(reserved("long", 3, BigInt(PTE.PS), { at }), [fault(ERROR.P | ERROR.RSVD, at)]);
  assert.deepEqual(reserved("long", 2, BigInt(PTE.PS) | (1n << 21n)), [fault(ERROR.P | ERROR.RSVD, FAR)]);
});

test("reserved bits fault before rights do, with the access in the error code", () => {
  const actual = exceptionsOf("long", `${toUser("long", "user")}\n user: ${attempt(`mov dword ptr [${FAR}],1`)} hlt`, {
    setup: (kernel) => kernel.map(FAR, (1n << 45n) | BigInt(SCRATCH | PTE.P)),
  });
  assert.deepEqual(actual, [fault(ERROR.P | ERROR.W | ERROR.U | ERROR.RSVD, FAR), "#13(0)"]);
});

for (const mode of ["pae", "long"] as const) {
  test(`${mode}: code does not run from a page that any level marks with XD`, () => {
    const go = attempt(`mov eax,${FAR}\n call ${mode === "long" ? "rax" : "eax"}`);
    for (const level of [0, 1]) {
      const kernel = run(mode, `${go} mov eax,[${FAR}]\n hlt`, {
        setup: (kernel) => {
          kernel.map(FAR, SCRATCH | OPEN);
          const at = kernel.entries(FAR).at(-1 - level) as number;
          kernel.setEntry(at, kernel.entry(at) | (1n << 63n));
          kernel.ram.setUint8(SCRATCH, 0xc3);
        },
      });
      assert.deepEqual(show(kernel.exceptions), [fault(ERROR.P | ERROR.ID, FAR)]);
      assert.equal(kernel.gpr(0) & 0xffn, 0xc3n, "the page can be read");
    }
  });
}

test("an access across pages faults at the first byte that it cannot reach, and writes none", () => {
  for (const mode of PAGED) {
    const kernel = run(mode, `${attempt(`mov dword ptr [${FAR + 0xffe}],-1`)} ${attempt(`mov eax,[${FAR - 2}]`)} hlt`, {
      setup: (kernel) => kernel.map(FAR, SCRATCH | OPEN),
    });
    assert.deepEqual(show(kernel.exceptions), [fault(ERROR.W, FAR + 0x1000), fault(0, FAR - 2)], mode);
    assert.equal(kernel.ram.getUint16(SCRATCH + 0xffe, true), 0);
  }
});

test("an access across pages reads and writes both of two frames that are not neighbours", () => {
  for (const mode of PAGED) {
    const program = `
      mov dword ptr [${FAR + 0xffd}],0x44332211
      mov eax,[${FAR + 0xffd}]
      add dword ptr [${FAR + 0xfff}],0x01010101
      hlt`;
    const kernel = run(mode, program, {
      setup: (kernel) => {
        kernel.map(FAR, (SCRATCH + 0x5000) | OPEN);
        kernel.map(FAR + 0x1000, SCRATCH | OPEN);
      },
    });
    assert.equal(kernel.gpr(0), 0x4433_2211n);
    assert.equal(kernel.ram.getUint32(SCRATCH + 0x5ffc, true) >>> 8, 0x34_2211);
    assert.equal(kernel.ram.getUint32(SCRATCH, true), 0x0001_0145);
  }
});

test("addresses that are not canonical raise #GP, on the stack #SS, and none of them sets CR2", () => {
  const program = `
    mov rbx,0x800000000000
    ${attempt("mov eax,[rbx]")}
    ${attempt("mov [rbx-4],rax")}
    ${attempt("mov rcx,rsp\n lea rsp,[rbx+4096]\n push rax")}
    mov rsp,rcx
    ${attempt("jmp rbx")}
    hlt`;
  const { exceptions } = run("long", program, {
    gates: { 12: { label: "exception12", ist: 1 } },
    setup: ({ ram }) => ram.setUint32(TSS + 0x24, INTERRUPT_STACK, true),
  });
  assert.deepEqual(show(exceptions), ["#13(0)", "#13(0)", "#12(0)", "#13(0)"]);
  assert.ok(exceptions.every(({ cr2 }) => cr2 === 0n));
});
