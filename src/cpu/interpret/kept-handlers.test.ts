/** Handlers that one processor needed are there for another one from the start. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Handlers } from "../interpret/handlers.ts";
import { GuestMachine } from "../system/testing/guest-machine.ts";
import type { RegionMaker } from "../translate/translator.ts";
import { buildKeptHandlers, type KeptHandlers } from "./kept-handlers.ts";

const PROGRAM = `
    mov cx,100
    mov si,0x4000
    xor ax,ax
  again:
    add [si],cx
    adc ax,[si]
    push ax
    pop word ptr [si+2]
    jz over
    inc si
  over:
    loop again
    mov edx,[0x4000]
    rep movsb
    hlt`;

/** Runs the program; the handlers that it needed, and what it came to. */
function run(kept?: KeptHandlers) {
  let handlers: Pick<Handlers, "keys" | "kept"> | undefined;
  const maker: RegionMaker = {
    request() {},
    done() {},
    close() {},
    keepHandlers: (_start, those) => {
      handlers = those;
    },
  };
  const machine = new GuestMachine({
    regions: () => maker,
    start: { kind: "firmware", name: "bios" },
    ...(kept ? { kept } : {}),
  });
  machine.load(PROGRAM);
  for (let i = 0; i < 1000 && machine.processor.run(50).kind !== "halted"; i++);
  assert.ok(handlers);
  const { registers } = machine.processor;
  const state = [0, 1, 2, 3, 6].map((register) => registers.gpr32(register));
  return { keys: handlers.keys, kept: handlers.kept, state };
}

test("a processor with handlers of another one does the same, and makes none itself", () => {
  const first = run();
  assert.equal(first.kept, 0);
  assert.ok(first.keys.length > 10);
  const second = run({ keys: first.keys, module: new WebAssembly.Module(buildKeptHandlers(first.keys)) });
  assert.deepEqual(second.state, first.state);
  assert.deepEqual(second.keys, first.keys);
  assert.equal(second.kept, first.keys.length);
});

test("what is missing among kept handlers is made", () => {
  const first = run();
  const keys = first.keys.filter((_, i) => i % 2 === 0).reverse();
  const second = run({ keys, module: new WebAssembly.Module(buildKeptHandlers(keys)) });
  assert.deepEqual(second.state, first.state);
  assert.deepEqual(new Set(second.keys), new Set(first.keys));
});

test("a key of no handler is refused", () => {
  assert.throws(() => buildKeptHandlers([Number.MAX_SAFE_INTEGER]), RangeError);
});
