/** A guest that tells on COM1 what it reads from keyboard or mouse, here and in QEMU, and hands to use it with. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import path from "node:path";
import { VirtualMachine } from "../../src/vm/index.ts";

export interface InputGuest {
  readonly received: number[];
  /** Keys by QEMU's names. */
  press(name: string): Promise<void>;
  /** Motion to the right and down, and of the wheel away from the user. */
  move(dx: number, dy: number, wheel: number): Promise<void>;
  /** Left 1, right 2, middle 4. */
  buttons(pressed: number): Promise<void>;
  stop(): Promise<unknown>;
}

export async function ours(file: string): Promise<InputGuest> {
  const vm = await VirtualMachine.create({ kernel: file, memory: "16M" });
  const received: number[] = [];
  vm.serial.onData((bytes) => received.push(...bytes));
  void vm.start();
  const names = ["left", "right", "middle"] as const;
  return {
    received,
    press: (name) => vm.keyboard.press(name, { pace: 1 }),
    move: (dx, dy, wheel) => vm.mouse.move(dx, dy, -wheel),
    buttons: async (pressed) => {
      for (const [i, name] of names.entries())
        await (pressed & (1 << i) ? vm.mouse.press(name) : vm.mouse.release(name));
    },
    stop: () => vm.stop(),
  };
}

export async function qemus(file: string, directory: string): Promise<InputGuest> {
  const socket = path.join(directory, "monitor");
  const qemu: ChildProcess = spawn("qemu-system-x86_64", [
    ...["-accel", "tcg", "-m", "16", "-display", "none", "-net", "none", "-kernel", file, "-serial", "stdio"],
    ...["-monitor", `unix:${socket},server=on,wait=off`],
  ]);
  const received: number[] = [];
  qemu.stdout?.on("data", (bytes: Buffer) => received.push(...bytes));
  const monitor = await connected(socket);
  monitor.resume();
  return {
    received,
    press: async (name) => void monitor.write(`sendkey ${name} 1\n`),
    move: async (dx, dy, wheel) => void monitor.write(`mouse_move ${dx} ${dy} ${wheel}\n`),
    buttons: async (pressed) => void monitor.write(`mouse_button ${pressed}\n`),
    stop: () => {
      monitor.destroy();
      qemu.kill("SIGKILL");
      return once(qemu, "exit");
    },
  };
}

async function connected(socket: string): Promise<net.Socket> {
  for (;;) {
    const attempt = net.connect(socket);
    try {
      await once(attempt, "connect");
      return attempt;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** What came of an action, when as much has come as is due or nothing more does. */
export async function bytesOf(
  guest: InputGuest,
  act: (guest: InputGuest) => Promise<void>,
  due: number,
): Promise<string> {
  guest.received.length = 0;
  await act(guest);
  for (let i = 0; i < 100 && guest.received.length < due; i++) await new Promise((resolve) => setTimeout(resolve, 20));
  return guest.received.map((byte) => byte.toString(16)).join(" ");
}
