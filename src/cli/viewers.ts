/** All ways in which people see and use a machine that `bunk run` runs: VNC viewers, a page, the control socket. */
import { rmSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { hostError } from "../disk/node/host-error.ts";
import type { ByteSink } from "../machine/device.ts";
import type { DisplaySource } from "../machine/display.ts";
import type { Machine } from "../vm/machine.ts";
import { ListenError } from "../vm/node/screen/listen.ts";
import type { ScreenHub } from "../vm/node/screen/screen-hub.ts";
import { NO_SCREEN } from "../vm/node/screen/screen-port.ts";
import type { VncPassword } from "../vm/node/screen/vnc-password.ts";
import type { VncServer } from "../vm/node/screen/vnc-server.ts";
import type { ScreenReader } from "../vm/screen/screen-reader.ts";
import { ControlServer } from "./control/control-server.ts";
import { MachineControls, type MediaControls } from "./control/machine-controls.ts";
import { makeRuntimeDirectory, runtimeDirectory } from "./control/runtime-directory.ts";
import type { DisplayOption } from "./display-option.ts";
import { ExitStatus } from "./exit-status.ts";
import { CliError, fileError, usageError } from "./failure.ts";
import { SerialTap } from "./web/serial-tap.ts";
import type { WebServer } from "./web/web-server.ts";

export interface ViewersSettings {
  readonly displays: readonly DisplayOption[];
  /** The machine's name, and whether its user gave it. */
  readonly name: string;
  readonly isNamed: boolean;
  readonly messages: { write(text: string): unknown };
  /** Whether to show a page in the user's browser. */
  readonly opensBrowser: boolean;
}

export class Viewers {
  /** Whether the machine needs a screen. */
  readonly showsScreen: boolean;
  readonly #settings: ViewersSettings;
  #control: ControlServer | undefined;
  readonly #vnc: VncServer[] = [];
  readonly #web: WebServer[] = [];
  #hub: ScreenHub | undefined;
  #serial: SerialTap | undefined;
  readonly #files: string[] = [];

  /** Listens at all addresses, before the machine is made. Rejects with CliError. */
  static async open(settings: ViewersSettings): Promise<Viewers> {
    const viewers = new Viewers(settings);
    try {
      await viewers.#open();
    } catch (error) {
      viewers.close();
      if (error instanceof ListenError) throw new CliError(ExitStatus.unavailable, error.message);
      throw error;
    }
    return viewers;
  }

  private constructor(settings: ViewersSettings) {
    this.#settings = settings;
    this.showsScreen = settings.displays.length > 0;
  }

  async #open(): Promise<void> {
    const { displays, name, isNamed } = this.#settings;
    try {
      this.#control = await ControlServer.listen(runtimeDirectory(), name);
    } catch (error) {
      // Nobody asked for it.
      if (isNamed) throw error;
    }
    for (const display of displays) {
      if (display.kind === "vnc") {
        const { address, passwordFile } = display;
        const password = passwordFile === undefined ? undefined : await readPassword(passwordFile);
        const { VncServer } = await import("../vm/node/screen/vnc-server.ts");
        this.#vnc.push(await VncServer.listen(address, password));
      } else if (display.kind === "web") {
        const { WebServer } = await import("./web/web-server.ts");
        this.#web.push(await WebServer.listen(display.address, name));
      }
    }
  }

  /** Where the guest's serial output goes; it passes on to `sink`. */
  tap(sink: ByteSink): ByteSink {
    if (this.#web.length === 0) return sink;
    this.#serial = new SerialTap(sink);
    return this.#serial;
  }

  /** Lets viewers in. Rejects with CliError where the machine has nothing to see. */
  async attach(machine: Pick<Machine, "display" | "input" | "sendSerial">, media?: MediaControls): Promise<void> {
    const { name, messages, opensBrowser } = this.#settings;
    const { display, input } = machine;
    const screen = display && (await screenReader(display));
    const controls = new MachineControls(name, input, screen);
    // The socket is its user's alone, who may open any file.
    this.#control?.attach(new MachineControls(name, input, screen, media));
    if (this.#vnc.length === 0 && this.#web.length === 0) return;
    if (display === undefined) throw usageError(`--display: ${NO_SCREEN}`);
    const { ScreenHub } = await import("../vm/node/screen/screen-hub.ts");
    const hub = new ScreenHub({ display, input, name });
    this.#hub = hub;
    for (const vnc of this.#vnc) {
      vnc.attach(hub);
      messages.write(`bunk: VNC viewers can connect to ${vnc.address}\n`);
    }
    for (const web of this.#web) {
      const serial = this.#serial as SerialTap;
      web.attach({ hub, controls, serial, sendSerial: (bytes) => machine.sendSerial(bytes) });
      messages.write(`bunk: the screen is at ${web.url}\n`);
      if (opensBrowser) void this.#openBrowser(web.url);
    }
  }

  /** By a file that leads there: other users can read what programs are called with. */
  async #openBrowser(url: string): Promise<void> {
    try {
      const directory = runtimeDirectory();
      await makeRuntimeDirectory(directory);
      const file = path.join(directory, `${this.#settings.name}.${process.pid}.html`);
      this.#files.push(file);
      await writeFile(file, `<!doctype html><meta http-equiv="refresh" content="0; url=${url}">\n`, { mode: 0o600 });
      const program = process.platform === "darwin" ? "open" : "xdg-open";
      const { spawn } = await import("node:child_process");
      const child = spawn(program, [file], { stdio: "ignore", detached: true });
      child.on("error", () => {});
      child.unref();
    } catch {
      // The address was told.
    }
  }

  close(): void {
    this.#hub?.close();
    for (const server of [...this.#vnc, ...this.#web]) server.close();
    this.#control?.close();
    for (const file of this.#files) rmSync(file, { force: true });
  }
}

/** The first line of a file. */
async function readPassword(file: string): Promise<VncPassword> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw fileError(hostError(`read the password in ${file}`, error).message);
  }
  const [password = ""] = text.split(/\r?\n/);
  if (password === "") throw fileError(`${file} has no password in its first line`);
  const { VncPassword } = await import("../vm/node/screen/vnc-password.ts");
  return new VncPassword(password);
}

async function screenReader(display: DisplaySource): Promise<ScreenReader> {
  const { knownFonts } = await import("../vm/screen/known-fonts.ts");
  const { ScreenReader } = await import("../vm/screen/screen-reader.ts");
  return new ScreenReader(display, knownFonts());
}
