/** What the processor finds at physical pages: RAM, ROM, a device, video memory. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { guestPhysical } from "../bits/units.ts";
import { runtimeModule } from "../cpu/build-runtime.ts";
import { Processor } from "../cpu/processor.ts";
import { InPlace } from "../cpu/translate/in-place.ts";
import { assemble } from "../isa/assemble.ts";
import { CS, DS, ES } from "../isa/semantics.ts";
import { GuestRam } from "./guest-ram.ts";

const RAM = 1 << 20;
const VIDEO = 1 << 20;
const START = 0x1000;
const FLAT = { selector: 0, limit: 0xffff_ffff, attributes: 0xc093 };

/** A processor on memory, with a bus that counts what comes to it and answers from video memory. */
function rig(video = VIDEO) {
  const ram = new GuestRam(RAM, { video });
  const seen: string[] = [];
  const processor = new Processor({
    runtime: runtimeModule(),
    memory: ram.memory,
    memoryPages: ram.memoryPages,
    model: "max",
    heat: 20,
    regions: (settings) => new InPlace(settings),
    bus: {
      readPort: () => 0,
      writePort: () => {},
      readMemory: (address, bytes) => {
        seen.push(`read ${address.toString(16)}`);
        const view = ram.view(guestPhysical(address), bytes, "read");
        return view ? new DataView(view.buffer, view.byteOffset).getUint32(0, true) : 0xffff_ffff;
      },
      writeMemory: (address, _bytes, low) => {
        seen.push(`write ${address.toString(16)}`);
        const view = ram.view(guestPhysical(address), 4, "write");
        if (view) new DataView(view.buffer, view.byteOffset).setUint32(0, low, true);
      },
      acknowledgeInterrupt: () => -1,
      readMsr: () => false,
      writeMsr: () => false,
      readCr8: () => 0,
      writeCr8: () => {},
      tsc: () => 0,
      random: () => {},
    },
  });
  ram.onCodeWritten = (first, last) => processor.physicalWritten(first, last);
  ram.onKindChanged = () => processor.memoryChanged();
  ram.onVideoPlaced = (offset) => processor.registers.set32("videoOffset", offset);
  const { registers } = processor;
  /** Runs 32-bit code to its HLT; `es` is the base of ES. */
  const run = (code: string, { es = 0, at = START } = {}) => {
    if (at < RAM) ram.storage(at, 0x200, "write").set(assemble(code, { bits: 32, origin: BigInt(at) }).bytes);
    processor.reset();
    registers.set64("cr0", 0x11n);
    registers.setSegment(CS, { ...FLAT, base: 0n, attributes: 0xc09b });
    registers.setSegment(DS, { ...FLAT, base: 0n });
    registers.setSegment(ES, { ...FLAT, base: BigInt(es) });
    registers.set64("ip", BigInt(at));
    processor.modeChanged();
    const result = processor.run(1_000_000);
    return { result, eax: registers.gpr32(0) };
  };
  return { ram, processor, run, seen };
}

const FILL = `
  mov ebx,0
  again: mov dword ptr es:[ebx],ebx
  mov eax,es:[ebx]
  add dword ptr es:[ebx],1
  add ebx,4
  cmp ebx,0x8000
  jb again
  mov eax,es:[0x7ffc]
  hlt
`;

test("video memory is read and written in place where it is mapped, but for the first access to a page", () => {
  const { ram, run, seen } = rig();
  assert.ok(ram.video);
  for (const at of [0xfd00_0000, 0xe000_0000, 0x8_0000_000 + 0x1000]) {
    seen.length = 0;
    ram.video.bytes.fill(0);
    ram.video.map(guestPhysical(at));
    const { eax, result } = run(FILL, { es: at });
    assert.equal(result.kind, "halted");
    assert.equal(eax, 0x7ffd);
    assert.ok(seen.length <= 8 * 3, `${seen.length} accesses came to the bus`);
    const words: Uint32Array = new Uint32Array(ram.video.bytes.buffer, ram.video.bytes.byteOffset, 0x2000);
    assert.ok(words.every((word, i) => word === i * 4 + 1));
  }
});

test("video memory that has moved is found at its new place only", () => {
  const { ram, run, seen } = rig();
  ram.video?.map(guestPhysical(0xe000_0000));
  run(FILL, { es: 0xe000_0000 });
  ram.video?.map(guestPhysical(0xd000_0000));
  seen.length = 0;
  assert.equal(run("mov eax,es:[4]\nhlt", { es: 0xe000_0000 }).eax, 0xffff_ffff);
  assert.equal(run("mov eax,es:[4]\nhlt", { es: 0xd000_0000 }).eax, 5);
  ram.video?.map(undefined);
  assert.equal(run("mov eax,es:[4]\nhlt", { es: 0xd000_0000 }).eax, 0xffff_ffff);
});

test("video memory over RAM, ROM or nothing that is below 4 GiB leaves what is there", () => {
  const { ram, run } = rig();
  ram.setKind(0xffc0_0000, 0x40_0000, "rom");
  ram.storage(0x3_0000, 4)[0] = 7;
  ram.storage(0xffe0_0000, 4)[0] = 9;
  for (const at of [0x2_0000, 0xf_8000, 0xffd0_0000, 0xfff8_0000]) ram.video?.map(guestPhysical(at));
  assert.equal(run("mov eax,[0x30000]\nhlt").eax, 7);
  assert.equal(run("mov eax,[0xffe00000]\nhlt").eax, 9);
});

test("nothing runs in video memory", () => {
  const { ram, processor, run } = rig();
  ram.video?.bytes.fill(0x90);
  ram.video?.map(guestPhysical(0xe000_0000));
  const { result } = run("nop", { at: 0xe000_0000 });
  assert.equal(result.kind, "shutdown");
  assert.equal(processor.registers.get64("ip"), 0xe000_0000n);
});

test("a bus master may reach video memory, and no more than it", () => {
  const { ram } = rig();
  ram.video?.map(guestPhysical(0xe000_0000));
  ram.view(guestPhysical(0xe000_0010), 4, "write")?.set([1, 2, 3, 4]);
  assert.deepEqual([...(ram.video?.bytes.subarray(0x10, 0x14) ?? [])], [1, 2, 3, 4]);
  assert.equal(ram.view(guestPhysical(0xe000_0000 + VIDEO - 2), 4, "read"), undefined);
  assert.equal(ram.view(guestPhysical(0xdfff_fffe), 4, "read"), undefined);
});

test("code in a page that becomes ROM, a device's or RAM again is what lies there", () => {
  const { ram, run } = rig();
  const loop = (value: number) => `mov ecx,200\nmov eax,0\nagain: add eax,${value}\nloop again\nhlt`;
  assert.equal(run(loop(1)).eax, 200);
  ram.setKind(START, 0x1000, "rom");
  assert.equal(run(`mov dword ptr [0x1100],5\n${loop(2)}`).eax, 400);
  ram.setKind(START, 0x1000, "device");
  assert.equal(run(loop(3)).result.kind, "shutdown");
  ram.setKind(START, 0x1000, "ram");
  assert.equal(run(loop(4)).eax, 800);
});
