/** From a linear address to the decoded block there, as WebAssembly. */
import type { Callee, Label } from "../../wasm/function.ts";
import { type ModuleBuilder, signature } from "../../wasm/module.ts";
import { ACCESS } from "../mmu/paging.ts";
import {
  BLOCK,
  BLOCK_CONTEXT,
  BLOCK_ENTRIES,
  BLOCK_TABLE,
  fieldAddress,
  JUMP,
  JUMP_CACHE,
  JUMP_ENTRIES,
  JUMP_ENTRY,
  RAM_BASE,
  TLB,
  TLB_ENTRIES,
  TLB_ENTRY,
} from "../state.ts";

/** Index of a block's entry in the block table. */
export const blockSlot = (physical: number): number => (physical ^ (physical >>> 16)) & (BLOCK_ENTRIES - 1);

/**
 * (linear) → first record, or 0 with `exit` set. `decodeBlock` is a host function (physical i64, linear i64)
 * → record, 0 with `exit` set, or a negative record that must not be cached.
 */
export function findBlockFunction(module: ModuleBuilder, vcpu: number, translate: Callee, decodeBlock: Callee): Callee {
  return module.function(
    signature(["i64"], ["i32"]),
    (f) => {
      const linear = f.param(0);
      const physical = f.variable("i64");
      const offset = linear
        .shrU(12 - Math.log2(TLB_ENTRY))
        .wrap()
        .and((TLB_ENTRIES - 1) * TLB_ENTRY);
      const entry = f.load("i32", 0, fieldAddress(vcpu, "tlb")).add(offset);
      f.if(
        f.load("i64", entry, TLB.execute).eq(linear.and(-4096n)),
        () =>
          physical.set(
            linear
              .wrap()
              .add(f.load("i32", entry, TLB.addend))
              .sub(RAM_BASE)
              .extendU(),
          ),
        () => {
          f.store("i32", 0, 0, fieldAddress(vcpu, "pc"));
          physical.set(f.call(translate, linear, ACCESS.execute));
          f.if(physical.get().ltS(0), () => f.return(f.i32(0)));
        },
      );
      const record = f.variable("i32");
      const context = f.load("i32", 0, fieldAddress(vcpu, "context"));
      const address = physical.get().wrap();
      const slot = address
        .xor(address.shrU(16))
        .and(BLOCK_ENTRIES - 1)
        .shl(4);
      f.block((found: Label) => {
        const same = f
          .load("i32", slot, BLOCK_TABLE + BLOCK.physical)
          .eq(address)
          .and(f.load("i32", slot, BLOCK_TABLE + BLOCK.context).eq(context.and(BLOCK_CONTEXT)));
        f.if(same, () => {
          record.set(f.load("i32", slot, BLOCK_TABLE + BLOCK.record));
          f.branch(found);
        });
        f.store("i32", 0, 0, fieldAddress(vcpu, "pc"));
        record.set(f.call(decodeBlock, physical.get(), linear));
        f.if(record.get().leS(0), () => f.return(f.i32(0).sub(record.get())));
      });
      // Decoding may have started a new generation.
      const low = linear.wrap();
      const jump = low
        .xor(low.shrU(13))
        .and(JUMP_ENTRIES - 1)
        .mul(JUMP_ENTRY)
        .add(vcpu + JUMP_CACHE);
      f.store("i64", jump, linear, JUMP.linear);
      f.store("i32", jump, record.get(), JUMP.record);
      f.store("i32", jump, f.load("i32", 0, fieldAddress(vcpu, "context")), JUMP.context);
      f.return(record.get());
    },
    { export: "findBlock" },
  );
}
