/**
 * Address translation as WebAssembly functions: the page walk that fills the software TLB.
 * @spec SDM 3A chapter 4, "Paging"
 *
 * Not modelled: 5-level paging, protection keys, memory types (PAT and MTRRs are stored, not obeyed),
 * PDPTE registers (PAE entries are read from memory at each walk).
 */
import type { Callee, FunctionBuilder, Label } from "../../wasm/function.ts";
import { type ModuleBuilder, signature } from "../../wasm/module.ts";
import type { Value } from "../../wasm/value.ts";
import { hostAddressOf } from "../emit/memory.ts";
import type { CountBuilder } from "../observe/count-area.ts";
import { CODE_BITS, EXIT, fieldAddress, PAGE, PAGE_FLAGS } from "../state.ts";
import { FILL, tlbFunctions } from "./tlb.ts";

/**
 * What an access wants; `supervisor` overrides the mode's privilege (implicit accesses), `unaligned` is part of one
 * that alignment checks let pass.
 */
export const ACCESS = { write: 1, execute: 2, supervisor: 4, probe: 8, unaligned: 16 } as const;

/** Page fault error code. @spec SDM 3A 4.7 */
const PF = { present: 1, write: 2, user: 4, reserved: 8, fetch: 16 } as const;

const PTE = {
  present: 1n,
  writable: 2n,
  user: 4n,
  accessed: 32n,
  dirty: 64n,
  large: 128n,
  noExecute: 1n << 63n,
} as const;
/** Physical addresses have 40 bits (CPUID 80000008h); the bits above must be zero. */
export const PHYSICAL_BITS = 40;
const RESERVED_HIGH = ((1n << 52n) - 1n) & ~((1n << BigInt(PHYSICAL_BITS)) - 1n);
const FRAME = ((1n << BigInt(PHYSICAL_BITS)) - 1n) & ~0xfffn;

/** Host functions. */
export interface TranslationImports {
  /** (physical i32, bytes): these are about to be written, in 64-byte pieces with code. */
  readonly codeWritten: Callee;
  /** Has regions' links lead nowhere: they may be of a generation that comes round again. */
  readonly forgetLinks: Callee;
}

export interface TranslationFunctions {
  /** (physical, 1 for a write, bytes) → 0 where RAM may be used in place, at its host address, else 1. Drops decoded code when written. */
  readonly special: Callee;
  /** (linear): what INVLPG makes the processor forget. */
  readonly flushPage: Callee;
  /** (linear, access) → physical address, or -1 with the fault recorded. */
  readonly translate: Callee;
}

/** Records #GP for an address that is not canonical. */
export function notCanonical(f: FunctionBuilder, vcpu: number): void {
  f.store("i32", 0, 13, fieldAddress(vcpu, "faultVector"));
  f.store("i32", 0, 0, fieldAddress(vcpu, "faultCode"));
  f.store("i32", 0, EXIT.fault, fieldAddress(vcpu, "exit"));
}

export function translationFunctions(
  module: ModuleBuilder,
  vcpu: number,
  { codeWritten, forgetLinks }: TranslationImports,
  counts: CountBuilder,
): TranslationFunctions {
  const at = (name: string) => fieldAddress(vcpu, name);

  const special = module.function(signature(["i64", "i32", "i32"], ["i32"]), (f) => {
    const [physical, write, bytes] = [f.param(0), f.param(1), f.param(2)];
    f.if(physical.shrU(32).ne(0), () => f.return(f.i32(1)));
    const page = physical.wrap().shrU(12);
    const flags = f.load("i32.8u", page, PAGE_FLAGS);
    f.if(flags.and(PAGE.io), () => f.return(f.i32(1)));
    f.if(write.and(flags.ne(0)), () => {
      f.if(flags.and(PAGE.readOnly), () => f.return(f.i32(1)));
      const bits = f.load("i64", page.shl(3), CODE_BITS);
      const first = physical.shrU(6);
      const last = physical.add(bytes.extendU()).sub(1).shrU(6);
      const hit = bits.shrU(first).or(bits.shrU(last)).and(1);
      f.if(hit.wrap(), () => {
        f.call(codeWritten, physical.wrap(), bytes);
      });
    });
    f.return(f.i32(0));
  });

  const fault = (f: FunctionBuilder, linear: Value, code: Value, access: Value) => {
    f.if(access.and(ACCESS.probe).eqz(), () => {
      counts.single(f, "pageFaults");
      f.store("i64", 0, linear, at("faultAddress"));
      f.store("i32", 0, 14, at("faultVector"));
      f.store("i32", 0, code, at("faultCode"));
      f.store("i32", 0, EXIT.fault, at("exit"));
    });
    f.return(f.i64(-1));
  };

  /** Reads a paging-structure entry: 0 (not present) where it is not in RAM. */
  const entryAt = module.function(signature(["i64", "i32"], ["i64"]), (f) => {
    const [address, bytes] = [f.param(0), f.param(1)];
    f.if(f.call(special, address, 0, bytes), () => f.return(f.i64(0)));
    const host = hostAddressOf(address.wrap());
    f.if(bytes.eq(4), () => f.return(f.load("i64.32u", host)));
    f.return(f.load("i64", host));
  });

  const setEntry = module.function(signature(["i64", "i32", "i64"]), (f) => {
    const [address, bytes, value] = [f.param(0), f.param(1), f.param(2)];
    f.if(f.call(special, address, 1, bytes), () => f.return());
    const host = hostAddressOf(address.wrap());
    f.if(
      bytes.eq(4),
      () => f.store("i64.32", host, value),
      () => f.store("i64", host, value),
    );
  });

  const { fill, flushPage } = tlbFunctions(module, vcpu, forgetLinks, counts);
  /** A physical address as it reaches memory: with line A20 held low or not. */
  const onLines = (f: FunctionBuilder, physical: Value) => physical.and(f.load("i64", 0, at("addressLines")));
  /** 1 where an access is an implicit one from user mode, which looks into the supervisor's TLB. */
  const implicitFromUser = (f: FunctionBuilder, access: Value) =>
    access
      .and(ACCESS.supervisor)
      .ne(0)
      .and(f.load("i32", 0, at("cpl")).eq(3));

  const translate = module.function(
    signature(["i64", "i32"], ["i64"]),
    (f) => {
      const [linear, access] = [f.param(0), f.param(1)];
      const cr0 = f.load("i64", 0, at("cr0"));
      f.if(cr0.and(0x80000000n).eqz(), () => {
        const physical = onLines(f, linear.and(0xffffffffn));
        f.call(fill, linear, physical, FILL.read | FILL.write | FILL.execute, implicitFromUser(f, access));
        f.return(physical);
      });
      if (counts.isOn) {
        const kind = access.and(ACCESS.write | ACCESS.execute);
        counts.walk(f, f.load("i32", 0, at("mmuMode")), f.i32(3).when(access.and(ACCESS.probe), kind));
      }
      const cr3 = f.load("i64", 0, at("cr3"));
      const cr4 = f.load("i64", 0, at("cr4"));
      const efer = f.load("i64", 0, at("efer"));
      const user = f.load("i32", 0, at("cpl")).eq(3).and(access.and(ACCESS.supervisor).eqz());
      const write = access.and(ACCESS.write);
      const execute = access.and(ACCESS.execute).shrU(1);
      const nxe = efer.shrU(11).wrap().and(1);
      const long = efer.shrU(10).wrap().and(1);
      const pae = cr4.shrU(5).wrap().and(1);
      const fetchBit = f.i32(PF.fetch).when(execute.and(nxe.and(pae).or(cr4.shrU(20).wrap().and(1))), 0);
      const code = user.shl(2).or(write.shl(1)).or(fetchBit);
      // Rights that all levels grant: writable and user, and no-execute that any level asks for.
      const rights = f.variable("i64", PTE.writable | PTE.user);
      const noExecute = f.variable("i64", 0);
      const shift = f.variable("i64");
      const table = f.variable("i64");
      const size = f.variable("i32", 8);
      const address = f.variable("i64");
      const entry = f.variable("i64");
      f.if(
        long,
        () => {
          // Non-canonical addresses have no translation; the caller turns #GP into #SS where it was the stack.
          f.if(linear.shl(16).shrS(16).ne(linear), () => {
            f.if(access.and(ACCESS.probe).eqz(), () => notCanonical(f, vcpu));
            f.return(f.i64(-1));
          });
          shift.set(39);
          table.set(cr3.and(FRAME));
        },
        () =>
          f.if(
            pae,
            () => {
              shift.set(30);
              table.set(cr3.and(0xffffffe0n));
            },
            () => {
              shift.set(22);
              size.set(4);
              table.set(cr3.and(0xfffff000n));
            },
          ),
      );
      const legacyPdpt = pae.and(long.eqz());
      f.block((done: Label) => {
        f.loop((next: Label) => {
          const isPdpt = legacyPdpt.and(shift.get().eq(30));
          const indexMask = f.i64(3).when(isPdpt, f.i64(1023).when(size.get().eq(4), 511));
          const index = linear.shrU(shift.get()).and(indexMask);
          address.set(onLines(f, table.get().add(index.mul(size.get().extendU()))));
          entry.set(f.call(entryAt, address.get(), size.get()));
          const value = entry.get();
          f.if(value.and(PTE.present).eqz(), () => fault(f, linear, code, access));
          const wide = size.get().eq(8);
          const largePossible = shift
            .get()
            .eq(21)
            .or(shift.get().eq(30).and(isPdpt.eqz()))
            .or(shift.get().eq(22).and(cr4.shrU(4).wrap().and(1)));
          const large = largePossible.and(value.shrU(7).wrap()).and(1);
          // Reserved bits: high physical bits, NX without EFER.NXE, low frame bits of large pages, PS where it has no meaning.
          const nxReserved = value.shrU(63).wrap().and(nxe.eqz());
          const lowMask = f
            .i64(1)
            .shl(shift.get())
            .sub(1)
            .and(FRAME & ~0x1000n);
          const lowReserved = large.and(value.and(lowMask).ne(0)).and(wide);
          const psReserved = shift.get().eq(39).and(value.shrU(7).wrap().and(1));
          const highReserved = value.and(RESERVED_HIGH).ne(0);
          const reserved = wide.and(nxReserved.or(highReserved)).or(lowReserved).or(psReserved);
          f.if(reserved, () => fault(f, linear, code.or(PF.present | PF.reserved), access));
          f.if(isPdpt.eqz(), () => {
            rights.set(rights.get().and(value));
            noExecute.set(noExecute.get().or(value));
          });
          f.branchIf(done, large.or(shift.get().eq(12)));
          // Not the last level: mark it accessed and go on.
          f.if(isPdpt.eqz().and(value.and(PTE.accessed).eqz()), () => {
            f.call(setEntry, address.get(), size.get(), value.or(PTE.accessed));
          });
          table.set(value.and(FRAME).and(f.i64(-1n).when(wide, 0xfffff000n)));
          shift.set(shift.get().sub(f.i64(9).when(wide, 10)));
          f.branch(next);
        });
      });
      const value = entry.get();
      const userPage = rights.get().and(PTE.user).ne(0);
      const writablePage = rights.get().and(PTE.writable).ne(0);
      const nx = noExecute.get().shrU(63).wrap().and(nxe);
      const smap = cr4.shrU(21).wrap().and(1);
      const smep = cr4.shrU(20).wrap().and(1);
      const wp = cr0.shrU(16).wrap().and(1);
      const ac = f.load("i32", 0, at("eflagsSystem")).shrU(18).and(1);
      const implicit = access.and(ACCESS.supervisor).ne(0);
      // Each right for this privilege.
      const smapBlocks = userPage.and(smap).and(ac.eqz().or(implicit.and(f.load("i32", 0, at("cpl")).eq(3))));
      const canRead = userPage.when(user, smapBlocks.eqz());
      const canWrite = canRead.and(writablePage.or(user.eqz().and(wp.eqz())));
      const canExecute = nx.eqz().and(userPage.when(user, userPage.and(smep).eqz()));
      const allowed = canExecute.when(execute, canWrite.when(write, canRead));
      f.if(allowed.eqz(), () => fault(f, linear, code.or(PF.present), access));
      const marked = value.or(PTE.accessed).or(f.i64(PTE.dirty).when(write, 0));
      f.if(marked.ne(value).and(access.and(ACCESS.probe).eqz()), () => {
        f.call(setEntry, address.get(), size.get(), marked);
      });
      const pageMask = f.i64(1).shl(shift.get()).sub(1);
      // A 4 MiB page keeps physical address bits 39:32 in bits 20:13 (PSE-36).
      const pse36 = value
        .shrU(13)
        .and(0xff)
        .shl(32)
        .when(size.get().eq(4).and(shift.get().eq(22)), 0);
      const frame = value
        .and(FRAME)
        .and(pageMask.not())
        .and(f.i64(-1n).when(size.get().eq(8), 0xffffffffn))
        .or(pse36);
      const physical = onLines(f, frame.or(linear.and(pageMask)));
      f.if(access.and(ACCESS.probe).eqz(), () => {
        const dirty = marked.shrU(6).wrap().and(1);
        const global = value.and(cr4.shl(1)).shrU(8).wrap().and(1);
        const kind = canRead
          .or(canWrite.and(dirty).shl(1))
          .or(canExecute.shl(2))
          .or(global.shl(3))
          .or(shift.get().ne(12).shl(4));
        f.call(fill, linear, physical, kind, implicitFromUser(f, access));
      });
      f.return(physical);
    },
    { export: "translate" },
  );

  return { special, flushPage, translate };
}
