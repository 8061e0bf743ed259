/**
 * Accesses to memory that the TLB does not answer, as WebAssembly functions: pages that are looked for, device memory, page
 * crossings, pages with decoded code, faults.
 */
import type { Callee, FunctionBuilder, Variable } from "../../wasm/function.ts";
import { type ModuleBuilder, signature } from "../../wasm/module.ts";
import type { Value } from "../../wasm/value.ts";
import { hostAddressOf, type MemoryFunctions, tlbAddress, tlbEntry } from "../emit/memory.ts";
import type { CountBuilder } from "../observe/count-area.ts";
import { CODE_BITS, EXIT, fieldAddress, MMU_MODE, PAGE, PAGE_FLAGS, SCRATCH, TLB } from "../state.ts";
import { ACCESS, notCanonical, type TranslationImports, translationFunctions } from "./address-translation.ts";

/** Host functions that memory accesses end in. */
export interface MmuImports extends TranslationImports {
  /** (physical i64, bytes) → value: device memory. */
  readonly readMemory: Callee;
  /** (physical i64, bytes, value i64). */
  readonly writeMemory: Callee;
  /** (linear i64, bytes, 1 for a write): an access while `watching` is set. */
  readonly watched: Callee;
}

/**
 * What `fillTlb` says: that the access cannot be made in place; that the TLB answers for the page; that the entry's addend
 * serves this access and no other, as the page has code elsewhere.
 */
export const TLB_ANSWER = { no: 0, page: 1, once: 2 } as const;

export interface MmuFunctions extends MemoryFunctions {
  /** (linear): what INVLPG makes the processor forget. */
  readonly flushPage: Callee;
  /** (linear, access) → physical address, or -1 with the fault recorded. */
  readonly translate: Callee;
  /** (linear, bytes, access) → TLB_ANSWER. */
  readonly fillTlb: Callee;
}

/** Visits the bytes of an access that begins at `physical`, where the page has `inPage` bytes more, and goes on at `second`. */
function eachByte(
  f: FunctionBuilder,
  { physical, inPage, second, bytes }: Readonly<Record<"physical" | "inPage" | "second" | "bytes", Value>>,
  visit: (address: Value, number: Value) => void,
): void {
  const i = f.variable("i32", 0);
  f.loop((next) => {
    const n = i.get();
    const address = f.variable("i64");
    f.if(
      n.ltU(inPage),
      () => address.set(physical.add(n.extendU())),
      () => address.set(second.add(n.sub(inPage).extendU())),
    );
    visit(address.get(), n);
    i.set(n.add(1));
    f.branchIf(next, i.get().ltU(bytes));
  });
}

export function mmuFunctions(
  module: ModuleBuilder,
  vcpu: number,
  imports: MmuImports,
  counts: CountBuilder,
): MmuFunctions {
  const at = (name: string) => fieldAddress(vcpu, name);
  const SCRATCH_AT = vcpu + SCRATCH;

  const { special, flushPage, translate } = translationFunctions(module, vcpu, imports, counts);

  /** Notes why an access cannot be made in place though its page is there, if it cannot. */
  const noteRefusal = (f: FunctionBuilder, physical: Value) => {
    counts.refusal(f, "checked");
    f.if(physical.shrU(32).ne(0), () => counts.refusal(f, "device"));
    f.if(physical.shrU(32).eqz(), () => {
      const flags = f.load("i32.8u", physical.wrap().shrU(12), PAGE_FLAGS);
      f.if(flags.and(PAGE.code), () => counts.refusal(f, "page with code"));
      f.if(flags.and(PAGE.readOnly), () => counts.refusal(f, "read-only memory"));
      f.if(flags.and(PAGE.io), () => counts.refusal(f, "device"));
    });
  };

  /** Not zero where bytes of a page with code may be written in place: no code was made of the pieces that they lie in. */
  const isBesideCode = (f: FunctionBuilder, physical: Value, bytes: Value) => {
    const page = physical.wrap().shrU(12);
    const bits = f.load("i64", page.shl(3), CODE_BITS);
    const last = physical.add(bytes.extendU()).sub(1);
    // What an access is long lies in two pieces at the most.
    const isCode = bits
      .shrU(physical.shrU(6))
      .or(bits.shrU(last.shrU(6)))
      .and(1)
      .wrap();
    return isCode
      .eqz()
      .and(bytes.leU(64))
      .and(f.load("i32.8u", page, PAGE_FLAGS).eq(PAGE.code));
  };

  /**
   * (linear, bytes, access) → TLB_ANSWER: whether the access may be made in place. A fault is not recorded: who asks is
   * to start the instruction again where it is.
   */
  const fillTlb = module.function(
    signature(["i64", "i32", "i32"], ["i32"]),
    (f) => {
      const [linear, bytes, access] = [f.param(0), f.param(1), f.param(2)];
      const inPage = f.i32(4096).sub(linear.wrap().and(4095));
      counts.single(f, "fillTlb");
      counts.refusal(f, "page crossing");
      f.if(inPage.ltU(bytes), () => f.return(f.i32(0)));
      counts.refusal(f, "exception");
      const physical = f.call(translate, linear, access);
      f.if(physical.ltS(0), () => {
        f.store("i32", 0, EXIT.none, at("exit"));
        f.return(f.i32(0));
      });
      const entry = tlbEntry(f.load("i32", 0, at("tlb")), linear);
      const tag = f.load("i64", entry.add(access.and(ACCESS.write).mul(TLB.write)), TLB.read);
      const isFilled = linear.and(-4096n).eq(tag);
      const isWrite = access.and(ACCESS.write).and(physical.shrU(32).eqz());
      const isKnown = f.load("i64", entry, TLB.read).eq(linear.and(-4096n));
      f.if(isFilled.eqz().and(isWrite).and(isKnown), () => {
        f.if(isBesideCode(f, physical, bytes), () => f.return(f.i32(TLB_ANSWER.once)));
      });
      if (counts.isOn) {
        f.if(
          isFilled,
          () => counts.refusal(f, "group not ready"),
          () => noteRefusal(f, physical),
        );
      }
      f.return(isFilled);
    },
    { export: "fillTlb" },
  );

  /** The same, → where in the shared memory `linear` is, or 0. */
  module.function(
    signature(["i64", "i32", "i32"], ["i32"]),
    (f) => {
      const [linear, bytes, access] = [f.param(0), f.param(1), f.param(2)];
      const entry = tlbEntry(f.load("i32", 0, at("tlb")), linear);
      const tag = f.load("i64", entry.add(access.mul(TLB.write)), TLB.read);
      const last = linear.add(bytes.extendU()).sub(1);
      f.if(last.and(-4096n).ne(tag), () => {
        f.if(f.call(fillTlb, linear, bytes, access).eqz(), () => f.return(f.i32(0)));
      });
      f.return(tlbAddress(f, entry, linear));
    },
    { export: "reachPage" },
  );

  /** One access within a page at a physical address. */
  const readPhysical = module.function(
    signature(["i64", "i32"], ["i64"]),
    (f) => {
      const [physical, bytes] = [f.param(0), f.param(1)];
      f.if(f.call(special, physical, 0, bytes), () => f.return(f.call(imports.readMemory, physical, bytes)));
      const host = hostAddressOf(physical.wrap());
      f.if(bytes.eq(1), () => f.return(f.load("i64.8u", host)));
      f.if(bytes.eq(2), () => f.return(f.load("i64.16u", host)));
      f.if(bytes.eq(4), () => f.return(f.load("i64.32u", host)));
      f.return(f.load("i64", host));
    },
    { export: "readPhysical" },
  );

  /**
   * Whether what is to be written lies beside code or in it, and is there already: then nothing was changed that was
   * made of it. GRUB writes the number of each interrupt of the BIOS into the instruction that calls it.
   */
  const isThere = module.function(signature(["i64", "i32", "i64"], ["i32"]), (f) => {
    const [physical, bytes, value] = [f.param(0), f.param(1), f.param(2)];
    f.if(physical.shrU(32).ne(0), () => f.return(f.i32(0)));
    f.if(f.load("i32.8u", physical.wrap().shrU(12), PAGE_FLAGS).ne(PAGE.code), () => f.return(f.i32(0)));
    const host = hostAddressOf(physical.wrap());
    f.if(bytes.eq(1), () => f.return(f.load("i64.8u", host).eq(value.and(0xff))));
    f.if(bytes.eq(2), () => f.return(f.load("i64.16u", host).eq(value.and(0xffff))));
    f.if(bytes.eq(4), () => f.return(f.load("i64.32u", host).eq(value.and(0xffff_ffffn))));
    f.return(f.load("i64", host).eq(value));
  });

  const writePhysical = module.function(
    signature(["i64", "i32", "i64"]),
    (f) => {
      const [physical, bytes, value] = [f.param(0), f.param(1), f.param(2)];
      f.if(f.call(isThere, physical, bytes, value), () => f.return());
      f.if(f.call(special, physical, 1, bytes), () => {
        f.call(imports.writeMemory, physical, bytes, value);
        f.return();
      });
      const host = hostAddressOf(physical.wrap());
      f.if(bytes.eq(1), () => {
        f.store("i64.8", host, value);
        f.return();
      });
      f.if(bytes.eq(2), () => {
        f.store("i64.16", host, value);
        f.return();
      });
      f.if(bytes.eq(4), () => {
        f.store("i64.32", host, value);
        f.return();
      });
      f.store("i64", host, value);
    },
    { export: "writePhysical" },
  );

  /** The next linear address, cut to 32 bits outside of 64-bit mode. */
  const linearPlus = (f: FunctionBuilder, linear: Value, bytes: Value) => {
    const long = f.load("i64", 0, at("efer")).and(0x400n).ne(0);
    return linear.add(bytes.extendU()).and(f.i64(-1n).when(long, 0xffffffffn));
  };

  /** Records #GP for an access that ends at an address that is not canonical, and runs `leave`: before any page is looked at. */
  const keepCanonical = (f: FunctionBuilder, linear: Value, bytes: number | Value, leave: () => void) => {
    const last = linear.add((typeof bytes === "number" ? f.i32(bytes) : bytes).extendU()).sub(1);
    const long = f.load("i64", 0, at("efer")).and(0x400n).ne(0);
    f.if(last.shl(16).shrS(16).ne(last).and(long), () => {
      notCanonical(f, vcpu);
      leave();
    });
  };

  const isChecked = (f: FunctionBuilder) => f.load("i32", 0, at("mmuMode")).eq(MMU_MODE.checked);

  /**
   * Whether #AC (recorded) keeps a program from an access: one of at most 8 bytes, at privilege level 3, with CR0.AM
   * and EFLAGS.AC set. Page faults come first. @spec SDM 3A 6.15, "Interrupt 17"; SDM 2A table 2-21
   */
  const misaligned = module.function(signature(["i64", "i32", "i32"], ["i32"]), (f) => {
    const [linear, bytes, access] = [f.param(0), f.param(1), f.param(2)];
    const offset = linear.wrap().and(bytes.sub(1));
    const spared = access.and(ACCESS.supervisor | ACCESS.unaligned).or(bytes.gtU(8));
    f.if(offset.eqz().or(spared), () => f.return(f.i32(0)));
    const asked = f
      .load("i64", 0, at("cr0"))
      .wrap()
      .and(f.load("i32", 0, at("eflagsSystem")))
      .shrU(18)
      .and(1);
    f.if(asked.eqz().or(f.load("i32", 0, at("cpl")).ne(3)), () => f.return(f.i32(0)));
    for (const end of [linear, linearPlus(f, linear, bytes.sub(1))]) {
      f.if(f.call(translate, end, access.or(ACCESS.probe)).ltS(0), () => f.return(f.i32(0)));
    }
    f.store("i32", 0, 17, at("faultVector"));
    f.store("i32", 0, 0, at("faultCode"));
    f.store("i32", 0, EXIT.fault, at("exit"));
    f.return(f.i32(1));
  });
  const keepAligned = (f: FunctionBuilder, linear: Value, bytes: Value, access: number | Value, leave: () => void) =>
    f.if(isChecked(f), () => f.if(f.call(misaligned, linear, bytes, access), leave));

  /** Tells of an access that was found possible, where breakpoints on data may be. */
  const watch = (f: FunctionBuilder, linear: Value, bytes: Value, write: number) => {
    f.if(isChecked(f).and(f.load("i32", 0, at("watching"))), () => {
      f.call(imports.watched, linear, bytes, write);
    });
  };

  const exitSet = (f: FunctionBuilder) => f.load("i32", 0, at("exit"));

  /** (linear, bytes, access) → value; the whole access is translated before any byte is read. */
  const readLinear = module.function(
    signature(["i64", "i32", "i32"], ["i64"]),
    (f) => {
      const [linear, bytes, access] = [f.param(0), f.param(1), f.param(2)];
      keepCanonical(f, linear, bytes, () => f.return(f.i64(0)));
      keepAligned(f, linear, bytes, access, () => f.return(f.i64(0)));
      const physical = f.call(translate, linear, access);
      f.if(physical.ltS(0), () => f.return(f.i64(0)));
      const inPage = f.i32(4096).sub(linear.wrap().and(4095));
      f.if(inPage.geU(bytes), () => {
        watch(f, linear, bytes, 0);
        f.return(f.call(readPhysical, physical, bytes));
      });
      const second = f.call(translate, linearPlus(f, linear, inPage), access);
      f.if(second.ltS(0), () => f.return(f.i64(0)));
      watch(f, linear, bytes, 0);
      const result = f.variable("i64", 0);
      eachByte(f, { physical, inPage, second, bytes }, (address, n) => {
        const byte = f.call(readPhysical, address, 1);
        result.set(result.get().or(byte.shl(n.shl(3).extendU())));
      });
      f.return(result.get());
    },
    { export: "readLinear" },
  );

  const writeLinear = module.function(
    signature(["i64", "i32", "i64", "i32"]),
    (f) => {
      const [linear, bytes, value, access] = [f.param(0), f.param(1), f.param(2), f.param(3)];
      keepCanonical(f, linear, bytes, () => f.return());
      keepAligned(f, linear, bytes, access.or(ACCESS.write), () => f.return());
      const physical = f.call(translate, linear, access.or(ACCESS.write));
      f.if(physical.ltS(0), () => f.return());
      const inPage = f.i32(4096).sub(linear.wrap().and(4095));
      f.if(inPage.geU(bytes), () => {
        watch(f, linear, bytes, 1);
        f.call(writePhysical, physical, bytes, value);
        f.return();
      });
      const second = f.call(translate, linearPlus(f, linear, inPage), access.or(ACCESS.write));
      f.if(second.ltS(0), () => f.return());
      watch(f, linear, bytes, 1);
      eachByte(f, { physical, inPage, second, bytes }, (address, n) => {
        f.call(writePhysical, address, 1, value.shrU(n.shl(3).extendU()));
      });
    },
    { export: "writeLinear" },
  );

  const setRecord = (f: FunctionBuilder) => f.store("i32", 0, f.param(0), at("pc"));

  const slowLoad = module.function(
    signature(["i32", "i64", "i32"], ["i64"]),
    (f) => {
      setRecord(f);
      f.return(f.call(readLinear, f.param(1), f.param(2), 0));
    },
    { export: "slowLoad" },
  );
  const slowStore = module.function(
    signature(["i32", "i64", "i32", "i64"]),
    (f) => {
      setRecord(f);
      f.call(writeLinear, f.param(1), f.param(2), f.param(3), 0);
    },
    { export: "slowStore" },
  );
  const slowLoad128 = module.function(
    signature(["i32", "i64"]),
    (f) => {
      setRecord(f);
      const linear = f.param(1);
      keepCanonical(f, linear, 16, () => f.return());
      const low = f.call(readLinear, linear, 8, ACCESS.unaligned);
      f.if(exitSet(f), () => f.return());
      const high = f.call(readLinear, linearPlus(f, linear, f.i32(8)), 8, ACCESS.unaligned);
      f.if(exitSet(f), () => f.return());
      f.store("i64", 0, low, SCRATCH_AT);
      f.store("i64", 0, high, SCRATCH_AT + 8);
    },
    { export: "slowLoad128" },
  );
  /** Makes sure that both ends of an access can be written, or records the fault. */
  const probeWrite = (f: FunctionBuilder, linear: Value, bytes: Value): Value => {
    keepCanonical(f, linear, bytes, () => f.return());
    const first = f.call(translate, linear, ACCESS.write);
    f.if(first.ltS(0), () => f.return());
    const inPage = f.i32(4096).sub(linear.wrap().and(4095));
    f.if(inPage.ltU(bytes), () => {
      f.if(f.call(translate, linearPlus(f, linear, inPage), ACCESS.write).ltS(0), () => f.return());
    });
    return first;
  };
  const slowStore128 = module.function(
    signature(["i32", "i64"]),
    (f) => {
      setRecord(f);
      const linear = f.param(1);
      probeWrite(f, linear, f.i32(16));
      f.call(writeLinear, linear, 8, f.load("i64", 0, SCRATCH_AT), ACCESS.unaligned);
      f.call(writeLinear, linearPlus(f, linear, f.i32(8)), 8, f.load("i64", 0, SCRATCH_AT + 8), ACCESS.unaligned);
    },
    { export: "slowStore128" },
  );
  const beginUpdate = module.function(
    signature(["i32", "i64", "i32"], ["i32"]),
    (f) => {
      setRecord(f);
      const [linear, bytes] = [f.param(1), f.param(2)];
      keepCanonical(f, linear, bytes, () => f.return(f.i32(0)));
      keepAligned(f, linear, bytes, ACCESS.write, () => f.return(f.i32(0)));
      const physical = f.call(translate, linear, ACCESS.write);
      f.if(physical.ltS(0), () => f.return(f.i32(0)));
      const inPage = f.i32(4096).sub(linear.wrap().and(4095));
      f.if(
        inPage.ltU(bytes),
        () => {
          f.if(f.call(translate, linearPlus(f, linear, inPage), ACCESS.write).ltS(0), () => f.return(f.i32(0)));
        },
        () => {
          f.if(f.call(special, physical, 1, bytes).eqz(), () => {
            watch(f, linear, bytes, 0);
            watch(f, linear, bytes, 1);
            f.return(hostAddressOf(physical.wrap()));
          });
        },
      );
      const half: Variable = f.variable("i32", bytes);
      f.if(bytes.gtU(8), () => {
        half.set(8);
        f.store("i64", 0, f.call(readLinear, linearPlus(f, linear, f.i32(8)), 8, ACCESS.unaligned), SCRATCH_AT + 8);
      });
      f.store("i64", 0, f.call(readLinear, linear, half.get(), ACCESS.unaligned), SCRATCH_AT);
      f.return(f.i32(SCRATCH_AT));
    },
    { export: "beginUpdate" },
  );
  const endUpdate = module.function(
    signature(["i64", "i32"]),
    (f) => {
      const [linear, bytes] = [f.param(0), f.param(1)];
      f.if(
        bytes.gtU(8),
        () => {
          f.call(writeLinear, linear, 8, f.load("i64", 0, SCRATCH_AT), ACCESS.unaligned);
          f.call(writeLinear, linearPlus(f, linear, f.i32(8)), 8, f.load("i64", 0, SCRATCH_AT + 8), ACCESS.unaligned);
        },
        () => {
          f.call(writeLinear, linear, bytes, f.load("i64", 0, SCRATCH_AT), ACCESS.unaligned);
        },
      );
    },
    { export: "endUpdate" },
  );
  /** After a fault of an access to the stack: where the address was not canonical it is #SS. */
  const stackFault = module.function(
    signature([]),
    (f) => {
      const canonical = f.load("i32", 0, at("faultVector")).ne(13);
      f.if(exitSet(f).eqz().or(canonical), () => f.return());
      f.store("i32", 0, 12, at("faultVector"));
    },
    { export: "stackFault" },
  );
  return {
    flushPage,
    translate,
    fillTlb,
    slowLoad,
    slowStore,
    slowLoad128,
    slowStore128,
    beginUpdate,
    endUpdate,
    stackFault,
  };
}
