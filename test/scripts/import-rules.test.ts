import assert from "node:assert/strict";
import { test } from "node:test";
import { findOffences } from "../../scripts/import-rules.ts";

const problems = (file: string, text: string) =>
  findOffences(file, text).map(({ line, problem }) => `${line}: ${problem}`);

test("a lower folder imports a higher one, and its own", () => {
  assert.deepEqual(problems("isa/add.ts", 'import { u8 } from "../bits/units.ts";\nimport "./flags.ts";'), []);
  assert.deepEqual(problems("cli/main.ts", 'import { a } from "../hypervisor/a.ts";\nawait import("../vm/b.ts");'), []);
});

test("a higher folder may not import a lower one, in any form of import", () => {
  const problem = "imports cpu/x.ts: src/isa/ may not import src/cpu/";
  assert.deepEqual(
    problems(
      "isa/add.ts",
      [
        'import type { X } from "../cpu/x.ts";',
        'export * from "../cpu/x.ts";',
        'await import("../cpu/x.ts");',
        'import "../cpu/x.ts";',
        "import {",
        "  x,",
        '} from "../cpu/x.ts";',
      ].join("\n"),
    ),
    [1, 2, 3, 4, 7].map((line) => `${line}: ${problem}`),
  );
  assert.equal(problems("wasm/a.ts", 'import { u8 } from "../bits/units.ts";').length, 1);
});

test("the machine imports types of the processor only", () => {
  assert.deepEqual(problems("machine/a.ts", 'import type { Cpu } from "../cpu/processor.ts";'), []);
  assert.deepEqual(problems("machine/a.ts", 'import { Cpu } from "../cpu/processor.ts";'), [
    "1: imports cpu/processor.ts: only its types may be",
  ]);
});

test("firmware imports disks, and no device but what the display says of itself", () => {
  assert.deepEqual(problems("firmware/a.ts", 'import { identify } from "../disk/identify.ts";'), []);
  assert.deepEqual(problems("firmware/a.ts", 'import { edid } from "../device/vga/edid.ts";'), []);
  assert.equal(problems("firmware/a.ts", 'import { Vga } from "../device/vga/vga.ts";').length, 1);
});

test("the portable part uses no clock, timer, chance or host", () => {
  const uses = ["Date.now()", "new Date()", "performance.now()", "setTimeout(f)", "setInterval(f)", "Math.random()"];
  for (const use of [...uses, "process.exit()", "console.log()"]) {
    assert.equal(problems("device/a/a.ts", `f();\nconst x = ${use};`).length, 1, use);
    assert.deepEqual(problems("vm/node/host.ts", use), [], use);
    assert.deepEqual(problems("disk/node/a.ts", use), [], use);
    assert.deepEqual(problems("device/a/a.test.ts", use), [], use);
  }
  assert.equal(problems("disk/a.ts", 'import { open } from "node:fs";').length, 1);
  assert.equal(problems("disk/a.ts", 'import { open } from "./node/a.ts";').length, 1);
  assert.equal(problems("disk/a.ts", 'import { x } from "package";').length, 1);
});

test("comments, texts and members of other objects are no use of the host", () => {
  const text = [
    "/** Unlike Date.now. */",
    "// process.exit()",
    'const text = "console.log";',
    "const pattern = /[\"'] Math.random()/;",
    "this.console.write();",
    "this.#process.run();",
    "new Date(seconds * 1000);",
  ].join("\n");
  assert.deepEqual(problems("device/a/a.ts", text), []);
  assert.equal(problems("device/a/a.ts", `${text}\nMath.random();`).length, 1);
});

test("what is for tests is imported by tests only", () => {
  assert.equal(problems("device/a/a.ts", 'import { R } from "../../machine/testing/rig.ts";').length, 1);
  assert.deepEqual(problems("device/a/a.test.ts", 'import { R } from "../../machine/testing/rig.ts";'), []);
  assert.deepEqual(problems("device/a/testing/b.ts", 'import { R } from "../../../machine/testing/rig.ts";'), []);
});

test("a folder that is not on the map is refused", () => {
  assert.equal(problems("misc/a.ts", 'import { u8 } from "../bits/units.ts";').length, 1);
});

test("nothing is imported from outside of src", () => {
  assert.equal(problems("vm/a.ts", 'import { x } from "../../test/x.ts";').length, 1);
});
