/**
 * Accesses to guest memory whose place in the shared memory has been found. What an instruction changes under LOCK, other
 * threads change as well: other processors, and devices. There the change is one atomic instruction of WebAssembly: the
 * one that does just that, where there is one, or an exchange of the new value for the old one, tried again until nobody
 * has come between. Registers and flags are written only then. @spec SDM 3A 9.1.2; WebAssembly threads proposal
 *
 * Not atomic: operands that are not aligned (split locks), for which WebAssembly has nothing, and those of 128 bits.
 */
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { AtomicOperation, LoadKind, StoreKind } from "../../wasm/opcodes.ts";
import type { Value } from "../../wasm/value.ts";

export const LOAD: Record<number, LoadKind> = { 8: "i32.8u", 16: "i32.16u", 32: "i32", 64: "i64", 128: "v128" };
const STORE: Record<number, StoreKind> = { 8: "i32.8", 16: "i32.16", 32: "i32", 64: "i64", 128: "v128" };
export function storeKind(value: Value, width: number): StoreKind {
  return value.type === "f32" || value.type === "f64" ? value.type : (STORE[width] as StoreKind);
}

/** Most bits that WebAssembly has atomic instructions for. */
const MOST_ATOMIC = 64;

/** What an atomic instruction does to a value, and the same without it. */
interface Direct {
  readonly operation: AtomicOperation;
  readonly operands: readonly Value[];
  apply(old: Value): Value;
}

/** Instructions that there is an atomic one for, with whether their operands can be exchanged. */
const OPERATIONS: Readonly<Record<string, { readonly operation: AtomicOperation; readonly commutes: boolean }>> = {
  add: { operation: "add", commutes: true },
  sub: { operation: "sub", commutes: false },
  and: { operation: "and", commutes: true },
  or: { operation: "or", commutes: true },
  xor: { operation: "xor", commutes: true },
};

/** The atomic instruction that makes `changed` of `old`, if there is one. `following`: values that follow from `old`. */
function directOf(old: Value, changed: Value, following: ReadonlySet<Value>): Direct | undefined {
  if (!following.has(changed)) return { operation: "xchg", operands: [changed], apply: () => changed };
  // As kernels do it for the barrier alone.
  if (changed === old) return { operation: "add", operands: [old.literal(0)], apply: (value) => value };
  const { opcode, args } = changed;
  const [left, right, condition] = args as [Value, Value, Value | undefined];
  if (opcode?.name === "select") return exchangeOf(old, left, right, condition as Value, following);
  const [type, name = ""] = opcode?.name.split(".") ?? [];
  const known = type === old.type ? OPERATIONS[name] : undefined;
  if (!known) return undefined;
  const operand = left === old ? right : known.commutes && right === old ? left : undefined;
  if (operand === undefined || following.has(operand)) return undefined;
  const operator = opcode?.name as string;
  return { operation: known.operation, operands: [operand], apply: (value) => value.op(operator, operand) };
}

/** CMPXCHG: `replacement` where what was there is what is expected. */
function exchangeOf(
  old: Value,
  replacement: Value,
  otherwise: Value,
  condition: Value,
  following: ReadonlySet<Value>,
): Direct | undefined {
  if (otherwise !== old || condition.opcode?.name !== `${old.type}.eq`) return undefined;
  const [left, right] = condition.args as [Value, Value];
  const expected = right === old ? left : right;
  if ((left !== old && right !== old) || following.has(expected) || following.has(replacement)) return undefined;
  return {
    operation: "cmpxchg",
    operands: [expected, replacement],
    apply: (value) => replacement.when(expected.eq(value), value),
  };
}

/** Changes `width` bits at a place in the shared memory (i32) that nobody else is changing. */
export function plainUpdate(f: FunctionBuilder, at: Value, width: number, change: (old: Value) => Value): void {
  const changed = change(f.load(LOAD[width] as LoadKind, at));
  f.store(storeKind(changed, width), at, changed);
}

/** Changes `width` bits at a place in the shared memory (i32) that others may change at the same time. */
export function lockedUpdate(f: FunctionBuilder, at: Value, width: number, change: (old: Value) => Value): void {
  if (width > MOST_ATOMIC) {
    plainUpdate(f, at, width, change);
    return;
  }
  const before = f.variable(width === 64 ? "i64" : "i32");
  const load = () => f.load(LOAD[width] as LoadKind, at);
  const store = (value: Value) => f.store(storeKind(value, width), at, value);
  const values: Value[] = [];
  const body = f.detached(() => {
    const old = before.get();
    values.push(old, change(old));
  });
  const [old, changed] = values as [Value, Value];
  const ifAligned = (then: () => void, split: () => void) => {
    if (width === 8) then();
    else f.if(at.and(width / 8 - 1), split, then, "unlikely");
  };
  const direct = directOf(old, changed, body.following(old));
  if (direct) {
    f.place(body.take(direct.operands));
    ifAligned(
      () => before.set(f.atomic(direct.operation, width, at, ...direct.operands)),
      () => {
        before.set(load());
        store(direct.apply(before.get()));
      },
    );
  } else {
    before.set(load());
    f.loop((again) => {
      f.place(body.take([old, changed]));
      ifAligned(
        () => {
          const found = f.atomic("cmpxchg", width, at, old, changed);
          f.ifRare(found.ne(old), () => {
            before.set(found);
            f.branch(again);
          });
        },
        () => store(changed),
      );
    });
  }
  f.place(body);
}
