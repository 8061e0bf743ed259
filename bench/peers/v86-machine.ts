/**
 * One machine of v86 on standard input and output:
 *
 *     node bench/peers/v86-machine.ts KERNEL INITRD COMMAND-LINE MEBIBYTES BIOS VGA-BIOS
 */
import { readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";
import { V86 } from "v86";

const [kernel = "", initrd = "", commandLine = "", mebibytes = "", bios = "", vgaBios = ""] = process.argv.slice(2);
const MIB = 1 << 20;
const STANDARD_OUTPUT = 1;
const wasm = path.join(path.dirname(createRequire(import.meta.url).resolve("v86")), "v86.wasm");

function image(file: string): { buffer: ArrayBuffer } {
  return { buffer: new Uint8Array(readFileSync(file)).buffer };
}

const machine = new V86({
  wasm_path: wasm,
  memory_size: Number(mebibytes) * MIB,
  vga_memory_size: 8 * MIB,
  bios: image(bios),
  vga_bios: image(vgaBios),
  bzimage: image(kernel),
  ...(initrd === "" ? {} : { initrd: image(initrd) }),
  cmdline: commandLine,
  acpi: true,
  autostart: true,
  // SeaBIOS would wait for a key.
  fastboot: true,
  disable_keyboard: true,
  disable_mouse: true,
  disable_speaker: true,
});

/** Bytes of one turn of the event loop go out together. */
let line: number[] = [];
function flush(): void {
  if (line.length > 0) writeSync(STANDARD_OUTPUT, Uint8Array.from(line));
  line = [];
}
machine.add_listener("serial0-output-byte", (byte: number) => {
  if (line.length === 0) setImmediate(flush);
  line.push(byte);
  if (byte === 10) flush();
});
process.stdin.setEncoding("latin1").on("data", (text: string) => machine.serial0_send(text));
