import assert from "node:assert/strict";
import { test } from "node:test";
import { ResultCheck } from "./result-check.ts";

test("a result that is another than the first machine's is told of once", () => {
  const check = new ResultCheck();
  check.add("integer", 64, "native64", "checksum=1 work=2");
  check.add("integer", 64, "qemu64", "checksum=1 work=2");
  check.add("integer", 64, "ours64", "checksum=3 work=2");
  check.add("integer", 64, "ours64", "checksum=3 work=2");
  assert.deepEqual(check.differences, [
    "integer, 64-bit: checksum=1 work=2 on native64, but checksum=3 work=2 on ours64",
  ]);
});

test("programs of 32 and of 64 bits are not compared, nor those without a result", () => {
  const check = new ResultCheck();
  check.add("gcc", 64, "qemu64", "checksum=1 work=2");
  check.add("gcc", 32, "qemu32", "checksum=9 work=2");
  check.add("openssl-aes", 64, "qemu64", "");
  check.add("openssl-aes", 64, "ours64", "checksum=1 work=1");
  assert.deepEqual(check.differences, []);
});
