/** The guides of `docs/`, followed step by step. */
import { test } from "node:test";
import { follow } from "./guide.ts";

test("following docs/add-an-instruction.md gives an instruction that a guest can execute", () => {
  follow("add-an-instruction.md");
});

test("following docs/add-a-device.md gives a device that a guest can drive", () => {
  follow("add-a-device.md");
});

test("following docs/add-a-disk-format.md gives a disk that keeps the contract of disks", () => {
  follow("add-a-disk-format.md");
});
