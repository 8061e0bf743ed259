/** Linux's drivers on the USB controller and its tablet: what they find, and a pointer that is put in a place. */
import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { prepareGuest } from "../../src/hypervisor/catalogue/debian-guest.ts";
import { CATALOGUE_DIRECTORY } from "../../src/hypervisor/catalogue/entry.ts";
import { machineOf, orSkip } from "./catalogue-guest.ts";
import { GuestShell } from "./guest-shell.ts";

const TIMEOUT = 900_000;
/** Guests of the catalogue, the second with the kernel for all machines, and without messages for interrupts. */
const GUESTS = [
  { base: "debian-686", kernel: "linux-image-686", append: "", eventSize: 16, interrupt: /PCI-MSI.*xhci_hcd/ },
  {
    base: "debian-backports",
    kernel: "linux-image-amd64",
    append: " pci=nomsi",
    eventSize: 24,
    interrupt: /IO-APIC.*fasteoi.*xhci/,
  },
] as const;
const MODULES = ["xhci_hcd", "xhci_pci", "hid", "usbhid", "hid_generic", "evdev"];

/** The catalogue's guest with the modules for USB pointers added; undefined, with the test skipped, without Debian. */
async function guestWithUsb(t: TestContext, { base, kernel }: (typeof GUESTS)[number]) {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-usb-catalogue-"));
  t.after(() => rm(directory, { recursive: true }));
  await cp(CATALOGUE_DIRECTORY, directory, { recursive: true });
  const entry = JSON.parse(await readFile(path.join(directory, `${base}.json`), "utf8"));
  const name = `${base}-usb`;
  const withUsb = { ...entry, kernel, modules: [...entry.modules, ...MODULES] };
  await writeFile(path.join(directory, `${name}.json`), JSON.stringify(withUsb));
  return orSkip(t, () => prepareGuest(name, { catalogueDirectory: directory }));
}

/** Type, code and value of each input_event structure, of which hexdump shows a line each; times come first. */
function eventsOf(dump: string): string[] {
  return [...dump.matchAll(/^(?:[0-9a-f]{32}|[0-9a-f]{48})$/gm)].map(([line]) => {
    const event = Buffer.from(line, "hex");
    const at = event.length - 8;
    return `${event.readUInt16LE(at)} ${event.readUInt16LE(at + 2)} ${event.readInt32LE(at + 4)}`;
  });
}

const TROUBLE = /error|fail|warn|timeout|timed out|not responding|can't|unable|died/i;
const SYN = "0 0 0";

for (const kind of GUESTS) {
  test(`Linux of ${kind.base} finds the tablet, and its pointer is where the machine's is`, {
    timeout: TIMEOUT,
  }, async (t) => {
    const guest = await guestWithUsb(t, kind);
    if (!guest) return;
    const vm = await machineOf(t, guest, { pointer: "tablet", append: guest.append + kind.append });
    const ended = vm.start();
    const shell = new GuestShell(vm.serial);
    await shell.ready();
    await assert.rejects(vm.mouse.moveTo(1, 1), /the guest uses no tablet/);
    await shell.run(`modprobe -a ${MODULES.join(" ")}`);
    await shell.run("for i in $(seq 50); do grep -q Tablet /proc/bus/input/devices && break; sleep 0.2; done");

    const log = await shell.run("dmesg | grep -iE 'xhci|usb|hid|hub'");
    t.diagnostic(log);
    assert.match(log, /xhci_hcd .*hcc params 0x02000001 hci version 0x120 quirks/);
    assert.equal([...log.matchAll(/hub \d-0:1\.0: 2 ports detected/g)].length, 2, log);
    assert.match(log, /new full-speed USB device number 2 using xhci_hcd/);
    assert.match(log, /idVendor=0627, idProduct=0001/);
    assert.match(log, /Product: USB Tablet/);
    assert.doesNotMatch(log, TROUBLE);
    assert.match(await shell.run("cat /proc/interrupts"), kind.interrupt);

    const devices = await shell.run("cat /proc/bus/input/devices");
    const tablet = devices.split("\n\n").find((device) => device.includes("Bunkhouse USB Tablet")) ?? "";
    assert.match(tablet, /Vendor=0627 Product=0001/);
    const [, event = ""] = /(event\d+)/.exec(tablet) ?? assert.fail(devices);
    // Absolute X and Y.
    assert.match(tablet, /B: ABS=3$/m);

    await shell.run(`hexdump -v -e '${kind.eventSize}/1 "%02x" "\\n"' /dev/input/${event} >/tmp/events & sleep 1`);
    await vm.mouse.moveTo(20000, 10000);
    await vm.mouse.press("left");
    await vm.mouse.moveTo(32767, 0, 1);
    await vm.mouse.release("left");
    await shell.run("for i in $(seq 50); do [ $(wc -l </tmp/events) -ge 10 ] && break; sleep 0.2; done");
    const dump = await shell.run("cat /tmp/events");
    t.diagnostic(dump);
    const [abs, rel, key, misc] = [3, 2, 1, 4];
    const events = eventsOf(dump).filter((each) => !each.startsWith(`${misc} `));
    assert.deepEqual(events.slice(0, 5), [`${abs} 0 20000`, `${abs} 1 10000`, SYN, `${key} 272 1`, SYN], dump);
    assert.ok(events.includes(`${rel} 8 -1`), dump);
    assert.deepEqual(events.slice(-2), [`${key} 272 0`, SYN], dump);

    // Who closes the device lets the mouse have the pointer; who binds the controller anew finds the tablet again.
    await shell.run("killall hexdump; sleep 1");
    await assert.rejects(vm.mouse.moveTo(1, 1), /the guest uses no tablet/);
    const driver = "/sys/bus/pci/drivers/xhci_hcd";
    await shell.run(`slot=$(basename ${driver}/0000:*); echo $slot >${driver}/unbind; echo $slot >${driver}/bind`);
    await shell.run("for i in $(seq 50); do grep -q Tablet /proc/bus/input/devices && break; sleep 0.2; done");
    const again = /(event\d+)/.exec(
      (await shell.run("cat /proc/bus/input/devices")).split("Bunkhouse USB Tablet")[1] ?? "",
    );
    await shell.run(
      `hexdump -v -n ${3 * kind.eventSize} -e '${kind.eventSize}/1 "%02x" "\\n"' /dev/input/${again?.[1]} >/tmp/events & sleep 1`,
    );
    await vm.mouse.moveTo(111, 222);
    await shell.run("for i in $(seq 50); do [ $(wc -l </tmp/events) -ge 3 ] && break; sleep 0.2; done");
    assert.deepEqual(eventsOf(await shell.run("cat /tmp/events")), [`${abs} 0 111`, `${abs} 1 222`, SYN]);
    assert.doesNotMatch(await shell.run("dmesg | grep -iE 'xhci|usb|hid|hub'"), TROUBLE);
    shell.type("poweroff -f\n");
    assert.deepEqual(await ended, { kind: "power-off" });
  });
}
