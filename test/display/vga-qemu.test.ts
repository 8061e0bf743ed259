import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { vgaMode } from "../../src/firmware/vga/modes.ts";
import { loadPalette, setMode } from "../../src/firmware/vga/set-mode.ts";
import { setVbeMode, type VbeMode } from "../../src/firmware/vga/vbe-modes.ts";
import type { Surface } from "../../src/machine/display.ts";
import { Machine } from "../../src/vm/machine.ts";
import { nodeHost } from "../../src/vm/node/host.ts";
import { hasQemu, QemuScreen } from "./qemu-screen.ts";
import { Recording } from "./replay-kernel.ts";

const SEQUENCER = 0x3c4;
const GRAPHICS = 0x3ce;
const CRTC = 0x3d4;
const SIX_BITS = 0xfcfcfc;

interface Picture {
  readonly name: string;
  readonly draw: (recording: Recording) => void;
  /** The bits of a colour that the guest chose; QEMU widens them to 8 in another way. */
  readonly chosen: number;
}

const standard = (number: number, name: string, draw: (recording: Recording) => void): Picture => ({
  name: `mode ${number.toString(16)}h, ${name}`,
  chosen: SIX_BITS,
  draw: (recording) => {
    setMode(recording.ports, recording.memory, vgaMode(number)!);
    draw(recording);
  },
});

/** Video memory through the banks at A0000h. */
const linear = (bitsPerPixel: VbeMode["bitsPerPixel"]): Picture => ({
  name: `640x480 with ${bitsPerPixel} bits a pixel`,
  chosen: bitsPerPixel === 8 ? SIX_BITS : bitsPerPixel === 15 ? 0xf8f8f8 : 0xffffff,
  draw: (recording) => {
    setVbeMode(recording.ports, { width: 640, height: 480, bitsPerPixel }, { linear: false });
    const length = 640 * 480 * Math.ceil(bitsPerPixel / 8);
    for (let bank = 0; bank * 0x10000 < length; bank++) {
      recording.ports.write(0x1ce, 2, 5);
      recording.ports.write(0x1cf, 2, bank);
      recording.ramp(0xa0000, 0x4000, bank * 0x02030507, 0x00010307);
    }
  },
});

/** Every colour of the DAC another one. */
const COLOURS = Uint8Array.from({ length: 768 }, (_, i) => (i * 29 + (i >> 3)) & 0x3f);

/** Different bytes in the four planes, by the map mask. */
function fillPlanes(recording: Recording, words: number): void {
  for (let plane = 0; plane < 4; plane++) {
    recording.indexed(SEQUENCER, 2, 1 << plane);
    recording.ramp(0xa0000, words, 0x10204080 * (plane + 1), 0x01030711 * (plane + 3));
  }
  recording.indexed(SEQUENCER, 2, 0x0f);
}

const PICTURES: readonly Picture[] = [
  standard(0x03, "text", (recording) => {
    // QEMU repeats the eighth dot of B0h to BFh too; IBM's VGA does it from C0h on.
    const shown = Array.from({ length: 256 }, (_, code) => code).filter((code) => code < 0xb0 || code >= 0xc0);
    for (let cell = 0; cell < 80 * 25; cell++) {
      const attribute = (cell * 7) & 0x7f;
      recording.memory.write(0xb8000 + cell * 2, 2, (attribute << 8) | shown[cell % shown.length]!);
    }
    recording.indexed(CRTC, 0x0a, 0x20);
    // Start address and split.
    recording.indexed(CRTC, 0x0d, 80);
    recording.indexed(CRTC, 0x07, 0x0f);
    recording.indexed(CRTC, 0x18, 0x2f);
    recording.indexed(CRTC, 0x09, 0x0f);
  }),
  standard(0x04, "4 colours", (recording) => recording.ramp(0xb8000, 0x1000, 0x1b2d4e87, 0x01030711)),
  standard(0x06, "2 colours", (recording) => recording.ramp(0xb8000, 0x1000, 0x1b2d4e87, 0x01030711)),
  standard(0x0d, "planes", (recording) => fillPlanes(recording, 0x800)),
  standard(0x10, "planes", (recording) => fillPlanes(recording, 0x1b58)),
  standard(0x12, "planes by set/reset, latches and write modes", (recording) => {
    fillPlanes(recording, 0x2580);
    recording.indexed(GRAPHICS, 0, 0x05);
    recording.indexed(GRAPHICS, 1, 0x07);
    recording.indexed(GRAPHICS, 3, 0x1b);
    recording.indexed(GRAPHICS, 8, 0x7e);
    recording.ramp(0xa1000, 0x200, 0x13579bdf, 0x01010101);
    for (const mode of [1, 2, 3]) {
      recording.indexed(GRAPHICS, 5, mode);
      recording.ramp(0xa1000 + mode * 0x1000, 0x200, 0x2468ace0, 0x01030507);
    }
  }),
  standard(0x13, "256 colours", (recording) => {
    loadPalette(recording.ports, COLOURS);
    recording.ramp(0xa0000, 16_000, 0x03020100, 0x04040404);
  }),
  standard(0x13, "made 320x240 with its planes apart", (recording) => {
    recording.ports.write(0x3c2, 1, 0xe3);
    recording.indexed(SEQUENCER, 4, 0x06);
    const registers = [0x0d06, 0x3e07, 0x4109, 0xea10, 0x0c11, 0xdf12, 0x0014, 0xe715, 0x0616, 0xe317];
    for (const word of registers) recording.ports.write(CRTC, 2, word);
    fillPlanes(recording, 0x1700);
    recording.indexed(CRTC, 0x0c, 0x10);
  }),
  // Not 4 bits: there QEMU lets nothing through to the planes.
  ...([8, 15, 16, 24, 32] as const).map(linear),
];

test("a guest's pictures are the same as on QEMU's display adapter", { timeout: 300_000 }, async (t) => {
  if (!hasQemu()) return t.skip("needs qemu-system-x86_64 (Debian package qemu-system-x86)");
  const recording = new Recording();
  for (const { draw } of PICTURES) {
    draw(recording);
    recording.pause();
  }
  const kernel = recording.kernel();
  const [ours, theirs] = await Promise.all([picturesHere(t, kernel), picturesInQemu(t, kernel)]);
  for (const [i, { name, chosen }] of PICTURES.entries()) {
    await t.test(name, () => assertSame(ours[i]!, theirs[i]!, chosen));
  }
});

async function picturesHere(t: TestContext, image: Uint8Array): Promise<Surface[]> {
  let bytes = 0;
  let wake = () => {};
  const machine = await Machine.create(
    {
      memory: 64 << 20,
      cpu: "max",
      clock: "real",
      kernel: { image, commandLine: "" },
      disks: [],
      serial: {
        write: () => {
          bytes++;
          wake();
        },
      },
      debugExit: false,
      noReboot: true,
      display: true,
    },
    nodeHost(),
  );
  t.after(() => machine.stop());
  const ended = machine.run();
  const surfaces: Surface[] = [];
  for (const [i] of PICTURES.entries()) {
    while (bytes <= i) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    const display = machine.board.display!;
    const { width, height } = display.size;
    const surface = { width, height, pixels: new Uint32Array(width * height) };
    display.draw(surface);
    surfaces.push(surface);
    machine.sendSerial(Uint8Array.of(0x67));
  }
  machine.stop();
  await ended;
  return surfaces;
}

async function picturesInQemu(t: TestContext, image: Uint8Array): Promise<Surface[]> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-vga-"));
  const file = path.join(directory, "kernel");
  await writeFile(file, image);
  const qemu = new QemuScreen(file, directory);
  t.after(async () => {
    await qemu.kill();
    await rm(directory, { recursive: true });
  });
  const surfaces: Surface[] = [];
  for (const _ of PICTURES) {
    await qemu.pause();
    surfaces.push(await qemu.picture());
    qemu.goOn();
  }
  return surfaces;
}

function assertSame(ours: Surface, theirs: Surface, mask: number): void {
  assert.deepEqual([ours.width, ours.height], [theirs.width, theirs.height]);
  let differ = 0;
  let first = -1;
  for (let i = 0; i < ours.pixels.length; i++) {
    if ((ours.pixels[i]! & mask) === (theirs.pixels[i]! & mask)) continue;
    differ++;
    if (first < 0) first = i;
  }
  const at = `${first % ours.width},${Math.floor(first / ours.width)}`;
  const hex = (pixel: number | undefined) => pixel?.toString(16);
  assert.equal(differ, 0, `from ${at}: ${hex(ours.pixels[first])} where QEMU has ${hex(theirs.pixels[first])}`);
  assert.ok(new Set(ours.pixels).size > 1, "there is something to see");
}
