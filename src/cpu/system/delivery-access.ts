/** What deliveries in WebAssembly share: how they reach tables and stacks, the flags, and how they give up. */
import type { Callee, FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import { Flags } from "../emit/flags.ts";
import { tlbAddress, tlbEntry, tlbHit } from "../emit/memory.ts";
import { flagMemory } from "../interpret/handler.ts";
import { ACCESS } from "../mmu/address-translation.ts";
import { fieldAddress, MMU_MODE, TLB, TLB_SIZE, TLBS } from "../state.ts";
import { LEAVES_RF, maskOf } from "./interrupts.ts";
import { FLAG } from "./mode.ts";
import { Privilege } from "./privilege.ts";

/** A gate's bits in its second doubleword: present, of a system type that is an interrupt or a trap gate. */
export const GATE = { mask: 0x9e00, value: 0x8e00, trap: 0x100 } as const;

export class DeliveryAccess {
  readonly f: FunctionBuilder;
  readonly vcpu: number;
  readonly cpu: Privilege;
  readonly #refuse: () => void;
  readonly #translate: Callee | undefined;

  /** `refuse` leaves the function; pages that the TLB does not have are looked for with `translate`, if it is given. */
  constructor(f: FunctionBuilder, vcpu: number, refuse: () => void, translate?: Callee) {
    this.f = f;
    this.vcpu = vcpu;
    this.cpu = new Privilege(f, vcpu);
    this.#refuse = refuse;
    this.#translate = translate;
  }

  /** Leaves the function where `condition` is zero. */
  unless(condition: Value): void {
    this.f.ifRare(condition.eqz(), this.#refuse);
  }

  wide(name: string): Value {
    return this.f.load("i64", 0, fieldAddress(this.vcpu, name));
  }

  /** Where the processor's own access to so many bytes lies in the shared memory; leaves the function where it cannot be made in place. */
  reach(linear: Value, bytes: number, access: 0 | typeof ACCESS.write): Value {
    const { f } = this;
    const mode = this.cpu.field("mmuMode");
    const tlb = f.i32(MMU_MODE.supervisor).when(mode.eq(MMU_MODE.user), mode);
    const entry = tlbEntry(tlb.mul(TLB_SIZE).add(this.vcpu + TLBS), linear);
    const isHit = () => tlbHit(f, entry, linear, bytes, access === 0 ? TLB.read : TLB.write);
    f.ifRare(isHit().eqz(), () => {
      if (!this.#translate) {
        this.#refuse();
        return;
      }
      const inPage = linear
        .wrap()
        .and(4095)
        .leU(4096 - bytes);
      this.unless(inPage);
      this.unless(f.call(this.#translate, linear, access | ACCESS.supervisor).geS(0));
      this.unless(isHit());
    });
    return tlbAddress(f, entry, linear);
  }

  /**
   * Where the descriptor that `selector` names in the global table lies in the shared memory; `mask` has the bits of linear
   * addresses. Leaves the function where there is none.
   */
  descriptor(selector: Value, mask: bigint): Value {
    const inTable = selector.and(0xfff8);
    this.unless(
      selector
        .and(4)
        .eqz()
        .and(inTable.ne(0))
        .and(inTable.add(7).leU(this.cpu.field("gdtLimit"))),
    );
    return this.reach(this.wide("gdtBase").add(inTable.extendU()).and(mask), 8, 0);
  }

  /** RFLAGS as they are pushed: `savedFlags` of interrupts.ts. */
  savedFlags(vector: Value, external: Value): Value {
    const { f } = this;
    const direction = this.cpu.field("direction").shrU(31).shl(10);
    const flags = new Flags(f, flagMemory(f, this.vcpu)).packed().or(direction).or(this.cpu.field("eflagsSystem"));
    const leavesRf = f.i32(maskOf(LEAVES_RF)).shrU(vector).and(1).and(vector.ltU(32));
    return flags.or(f.i32(0).when(leavesRf.or(external), FLAG.RF));
  }

  /** Flags on entry to a handler; `isTrap` is not zero where its gate leaves IF. */
  clearFlags(isTrap: Value): void {
    const { f } = this;
    const cleared = f.i32(FLAG.TF | FLAG.NT | FLAG.RF | FLAG.VM).or(f.i32(0).when(isTrap, FLAG.IF));
    f.store("i32", 0, this.cpu.field("eflagsSystem").and(cleared.not()), fieldAddress(this.vcpu, "eflagsSystem"));
  }
}
