import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../../isa/assemble.ts";
import { VirtualMachine } from "../virtual-machine.ts";

/** Lets the mouse report, and sends each byte of keyboard and mouse to COM1, the mouse's after FF; F10 ends it. */
const KERNEL = `
  header: dd 0x1badb002, 0x10000, 0xe4514ffe
  dd header, header, 0, 0, start
  start: mov al,0x60
  out 0x64,al
  mov al,0x44
  out 0x60,al
  mov al,0xd4
  out 0x64,al
  mov al,0xf4
  out 0x60,al
  next: in al,0x64
  test al,1
  jz next
  mov bl,al
  in al,0x60
  test bl,0x20
  jz key
  mov ah,al
  mov al,0xff
  mov dx,0x3f8
  out dx,al
  mov al,ah
  key: mov dx,0x3f8
  out dx,al
  cmp al,0xc4
  jnz next
  xor eax,eax
  out 0xf4,al
  jmp next
`;

async function machine() {
  const { bytes } = assemble(KERNEL, { bits: 32, origin: 0x10_0000n });
  const vm = await VirtualMachine.create({ kernel: bytes, memory: "16M", debugExit: true });
  const received: number[] = [];
  vm.serial.onData((data) => received.push(...data));
  return { vm, received, ended: vm.start() };
}

test("a program types, presses keys together, moves the mouse and clicks", async () => {
  const { vm, received, ended } = await machine();
  await vm.keyboard.type("aB");
  await vm.keyboard.type("z", { layout: "de" });
  await vm.keyboard.press("ctrl-alt-delete");
  await vm.mouse.move(3, 2);
  await vm.mouse.click("right");
  await vm.keyboard.press("f10");
  assert.deepEqual(await ended, { kind: "debug-exit", status: 1 });
  const mouse: number[] = [];
  const keys: number[] = [];
  for (let i = 0; i < received.length; i++) {
    if (received[i] === 0xff) mouse.push(received[++i]!);
    else keys.push(received[i]!);
  }
  assert.deepEqual(keys, [
    ...[0x1e, 0x9e, 0x2a, 0x30, 0xb0, 0xaa],
    ...[0x15, 0x95],
    ...[0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d],
    ...[0x44, 0xc4],
  ]);
  assert.deepEqual(mouse, [0xfa, 0x28, 3, 0xfe, 0x0a, 0, 0, 0x08, 0, 0]);
});

const hasScreen = (vm: VirtualMachine) =>
  vm.display.size().then(
    () => true,
    () => false,
  );

test("a machine without a screen says so, and one that has ended too", async () => {
  const { vm } = await machine();
  if (!(await hasScreen(vm))) await assert.rejects(vm.display.screenshot(), /the machine has no screen/);
  await vm.stop();
  await assert.rejects(vm.keyboard.type("a"), /the machine has ended \(stopped\)/);
  await assert.rejects(vm.display.text(), /the machine has ended/);
});
