/** What Debian's installer must come to, whichever architecture it installs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { catalogueGuest, machineOf } from "./catalogue-guest.ts";
import { GuestShell } from "./guest-shell.ts";

const ENTER = "\r";

/** Declares the test: the first dialogs of the catalogue's guest `name`. */
export function installerContract(name: string): void {
  test(`${name} asks for the language, and then for the country`, async (t) => {
    const guest = await catalogueGuest(t, name);
    if (!guest) return;
    const vm = await machineOf(t, guest);
    const ended = vm.start();
    const shell = new GuestShell(vm.serial);
    await shell.expect("Select a language");
    // The dialog is drawn from top to bottom, its buttons last.
    await shell.expect("<Go Back>");
    shell.type(ENTER);
    await shell.expect("Select your location");
    await vm.stop();
    assert.deepEqual(await ended, { kind: "stopped" });
  });
}
