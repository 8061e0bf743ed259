/** The commands for machines that run, as the parser of the command line is told. */
import { Argument, type Command, Option } from "commander";
import { LAYOUTS, type Layout } from "../../vm/input/layouts.ts";
import { usageError } from "../failure.ts";
import type { ControlInvocation } from "./control-commands.ts";

const SCREENSHOT_HELP = `
Examples:
  bunk run debian --name web1 --display none
  bunk screenshot web1 screen.png`;

const SENDKEYS_HELP = `
Examples:
  bunk sendkeys debian ctrl-alt-delete
  bunk sendkeys debian down down ret
  bunk sendkeys debian --text "root" ret      the text first, then the keys

Keys are named as in QEMU's sendkey (ret, esc, spc, f2, pgup, kp_5, meta_l), as
browsers name them (KeyA, ArrowUp), or are characters of the US layout.`;

const FLOPPY_HELP = `
Examples:
  bunk run dos1.img --name dos
  bunk floppy dos a dos2.img
  bunk floppy dos a                           takes it out`;

const MACHINE = "name or process number of a machine that runs";

export function describeControl(program: Command, found: (invocation: ControlInvocation) => void): void {
  program
    .command("screenshot")
    .argument("<VM>", MACHINE)
    .argument("<FILE>", "PNG file to write")
    .summary("save what a running machine shows")
    .description("Writes what is on the screen of a running machine to a PNG file.")
    .addHelpText("after", SCREENSHOT_HELP)
    .action((machine: string, file: string) => found({ verb: "screenshot", machine, file }));
  program
    .command("sendkeys")
    .argument("<VM>", MACHINE)
    .argument("[KEYS...]", "keys pressed together, such as ctrl-alt-delete; each is released before the next")
    .option("--text <TEXT>", "text to type before them")
    .addOption(new Option("--layout <NAME>", "the guest's keyboard layout, for --text").choices(LAYOUTS).default("us"))
    .summary("type on the keyboard of a running machine")
    .description("Presses keys on the keyboard of a running machine.")
    .addHelpText("after", SENDKEYS_HELP)
    .action((machine: string, keys: string[], { text, layout }: { text?: string; layout: Layout }) => {
      if (keys.length === 0 && text === undefined) throw usageError("which keys? Name them, or give --text TEXT");
      found({ verb: "sendkeys", machine, keys, text, layout });
    });
  program
    .command("floppy")
    .argument("<VM>", MACHINE)
    .addArgument(new Argument("<DRIVE>", "floppy drive").choices(["a", "b"]))
    .argument("[FILE]", "image of the disk to put in; without it the drive is emptied")
    .option("--readonly", "write-protect the disk")
    .option("--snapshot", "keep writes in memory and drop them at the end")
    .summary("change the disk in a floppy drive of a running machine")
    .description("Takes the disk out of a floppy drive of a running machine, and puts another one in.")
    .addHelpText("after", FLOPPY_HELP)
    .action((machine: string, drive: "a" | "b", file: string | undefined, raw: RawFloppyOptions) => {
      const { readonly: readOnly = false, snapshot = false } = raw;
      if (file === undefined && (readOnly || snapshot)) throw usageError("which disk? Name its image");
      found({ verb: "floppy", machine, drive, file, readOnly, snapshot });
    });
}

interface RawFloppyOptions {
  readonly readonly?: boolean;
  readonly snapshot?: boolean;
}
