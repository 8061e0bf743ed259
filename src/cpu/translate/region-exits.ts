/**
 * How a region goes on with other code: by a link in its own record where its code names the address, by one of its caller's
 * where it returns, by the jump cache else. What each of these has in common comes once, behind the region's body.
 */
import type { FunctionBuilder, Label, Variable } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import { enterBlock, enterByLink, returnEntry } from "../emit/enter-block.ts";
import type { CodeContext, Linkage } from "../emit/semantics.ts";
import { JUMP_ENTRY, REGION, REGION_LINKS, RETURN } from "../state.ts";

/** Where control goes on; `to` and `returns` are distances from the region's start. */
export interface Destination {
  /** Where that is known. */
  readonly to?: number | undefined;
  /** Where a call is expected back. */
  readonly returns?: number | undefined;
  /** Whether it goes back as from a call: to the address that was popped. */
  readonly goesBack?: boolean;
}

type Way = "jump" | "link" | "return";
const WAYS: readonly Way[] = ["jump", "link", "return"];

export interface ExitFrame {
  readonly f: FunctionBuilder;
  readonly vcpu: number;
  readonly context: CodeContext;
  readonly linkage: Linkage;
  /** Linear address, at a distance from the region's start, in code where offsets are linear addresses (i64). */
  ip(delta: number): Value;
  /** The stack pointer, where the region has it in a variable. */
  stack(): Value | undefined;
  /** What is left of the budget. */
  budget(): Value;
}

export class RegionExits {
  readonly #frame: ExitFrame;
  /** Where in the region's record the link is that it is left by. */
  readonly link: Variable;
  /** Numbers of links by the distances that they lead to. */
  readonly #links = new Map<number, number>();
  readonly #labels: Readonly<Record<Way, Label>>;
  /** Those that there are. */
  readonly #used = new Set<Way>();

  constructor(frame: ExitFrame) {
    const { f } = frame;
    this.#frame = frame;
    this.link = f.variable("i32");
    this.#labels = { jump: f.label("block"), link: f.label("block"), return: f.label("block") };
  }

  /** Goes to the way out for a destination. */
  leave({ to, returns, goesBack = false }: Destination): void {
    if (returns !== undefined) this.#expectBack(returns);
    const link = to === undefined ? undefined : this.#linkTo(to);
    if (link !== undefined) this.link.set(link);
    const way = link !== undefined ? "link" : goesBack && this.#offsetsAreLinear ? "return" : "jump";
    this.#used.add(way);
    this.#frame.f.branch(this.#labels[way]);
  }

  /** Places the body of the function, and the ways out behind it; `leave` does what is to be done before the region goes on. */
  place(build: () => void, leave: (enter: (linear: Value) => void, way: Way) => void, index = WAYS.length - 1): void {
    const { f } = this.#frame;
    const way = WAYS[index];
    if (way === undefined) {
      build();
      return;
    }
    f.block(() => this.place(build, leave, index - 1), this.#labels[way]);
    if (this.#used.has(way)) leave((linear) => this.#enter(way, linear), way);
    else f.unreachable();
  }

  #enter(way: Way, linear: Value): void {
    const { f, vcpu, linkage, context } = this.#frame;
    const leaving = { region: this.#region, budget: this.#frame.budget() };
    switch (way) {
      case "jump":
        enterBlock(f, vcpu, linear, linkage, leaving);
        return;
      case "link": {
        const link = this.#region.add(this.link.get());
        enterByLink(f, vcpu, { link, linear, leaving }, linkage, () =>
          f.returnCall(linkage.callee("enterByLink"), link, linear),
        );
        return;
      }
      case "return": {
        const popped = this.#frame.stack()?.sub(context.long ? 8 : 4);
        if (!popped) throw new Error("a return has not touched the stack");
        const entry = returnEntry(vcpu, popped, context.long);
        enterByLink(f, vcpu, { link: f.load("i32", entry, RETURN.link), linear, leaving }, linkage, () =>
          f.returnCall(linkage.callee("enterByReturn"), entry, linear),
        );
      }
    }
  }

  /** Tells of a call that leaves the region where to go on when it comes back to `delta`. */
  #expectBack(delta: number): void {
    const { f, vcpu, context } = this.#frame;
    const stack = this.#frame.stack();
    const link = this.#offsetsAreLinear ? this.#linkTo(delta) : undefined;
    if (!stack || link === undefined) return;
    const entry = returnEntry(vcpu, stack, context.long);
    f.store("i64", entry, this.#frame.ip(delta), RETURN.linear);
    f.store("i32", entry, this.#region.add(link), RETURN.link);
  }

  /** Where in the region's record the link to the code at `delta` is; undefined where there are no more. */
  #linkTo(delta: number): number | undefined {
    const known = this.#links.get(delta);
    if (known !== undefined || this.#links.size === REGION_LINKS) return known;
    const link = REGION.links + this.#links.size * JUMP_ENTRY;
    this.#links.set(delta, link);
    return link;
  }

  get #region(): Value {
    return this.#frame.f.param(0);
  }

  get #offsetsAreLinear(): boolean {
    const { long, flat } = this.#frame.context;
    return long || flat;
  }
}
