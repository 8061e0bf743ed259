/** Linux on a screen of 1024x768 pixels of 32 bits, and what it shows there. */
import path from "node:path";
import process from "node:process";
import { guestWithSource, PROGRAM_DIRECTORY } from "./guest-files.ts";
import { GuestProcess } from "./guest-process.ts";
import { BOOT_TIMEOUT, PROMPT } from "./shell.ts";

/** Its kernel has the driver of linear modes that firmware sets. */
export const SCREEN_GUEST = "debian-686-pae";
/** VBE's number of 1024x768 with 32 bits, and 200h. */
const MODE = 0x344;
const SOURCE = "square";
const PROGRAM = `${PROGRAM_DIRECTORY}/${SOURCE}`;
/** Milliseconds: it is ended before. */
const LONG = 3_600_000;
const BUNK = path.join(import.meta.dirname, "../bin/bunk.mjs");
const MEMORY = "256M";

/** What changes on the screen, with the command that does it; beside it all, the console's cursor blinks. Fast: all the time. */
export const SCENES = [
  { name: "a cursor blinks", command: "", isFast: false },
  {
    name: "a clock, four times a second",
    command: `while :; do printf '\\033[20;40H%s' "$(date)"; usleep 250000; done`,
    isFast: false,
  },
  { name: "a line of text, twice a second", command: "while :; do date; usleep 500000; done", isFast: false },
  { name: "a square moves, 60 times a second", command: `${PROGRAM} /dev/fb0 ${LONG} < /dev/null`, isFast: true },
] as const;
export type Scene = (typeof SCENES)[number];

export class ScreenGuest {
  readonly #guest: GuestProcess;

  private constructor(guest: GuestProcess) {
    this.#guest = guest;
  }

  /** Starts it with a VNC server on the Unix socket `socket`, as a user would; resolves at its shell's prompt. */
  static async start(directory: string, socket: string): Promise<ScreenGuest> {
    const { kernel, initrd, append } = await guestWithSource(SCREEN_GUEST, SOURCE, directory);
    const boot = ["--kernel", kernel, "--initrd", initrd, "--append", `${append} vga=${MODE}`, "--memory", MEMORY];
    const args = [BUNK, "run", ...boot, "--display", `vnc=unix:${socket}`];
    const guest = new GuestProcess({ program: process.execPath, args });
    await guest.expect(PROMPT, BOOT_TIMEOUT);
    return new ScreenGuest(guest);
  }

  get pid(): number {
    return this.#guest.pid;
  }

  /** Shows a scene until `end`. */
  async show({ command }: Scene): Promise<void> {
    this.#guest.type("printf '\\033[2J\\033[H' > /dev/tty1\n");
    await this.#guest.expect(PROMPT, BOOT_TIMEOUT);
    if (command === "") return;
    this.#guest.type(`( ${command} ) > /dev/tty1 & echo begun\n`);
    await this.#guest.expect(PROMPT, BOOT_TIMEOUT);
  }

  async end({ command }: Scene): Promise<void> {
    if (command === "") return;
    this.#guest.type("kill $!; wait\n");
    await this.#guest.expect(PROMPT, BOOT_TIMEOUT);
  }

  kill(): Promise<void> {
    return this.#guest.kill();
  }
}
