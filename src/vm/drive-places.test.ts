import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryStore } from "../disk/memory-store.ts";
import { RawDisk } from "../disk/raw/raw-disk.ts";
import { type CdromBus, type DiskBus, DrivePlaceError, placeDrives } from "./drive-places.ts";

const device = new RawDisk(new MemoryStore(512));
const disks = (...buses: (DiskBus | undefined)[]) => buses.map((bus) => (bus ? { device, bus } : { device }));
const cdroms = (...buses: (CdromBus | undefined)[]) => buses.map((bus) => (bus ? { bus } : {}));
const names = (drives: readonly ({ kind: string; number: number } | undefined)[]) =>
  drives.map((drive) => drive && `${drive.kind}${drive.number}`);

test("each drive is on the bus that it asks for, in order", () => {
  const places = placeDrives(
    disks("nvme", undefined, "scsi", "ide", "nvme", "ahci"),
    cdroms("scsi", undefined, "ahci"),
  );
  assert.deepEqual(names(places.virtio), ["disk1"]);
  assert.deepEqual(names(places.nvme), ["disk0", "disk4"]);
  assert.deepEqual(names(places.scsi), ["disk2", "cdrom0"]);
  assert.deepEqual(names(places.ide), ["disk3", undefined, "cdrom1", undefined]);
  assert.deepEqual(names(places.ahci), ["disk5", "cdrom2"]);
});

test("disks take the CD drives' places on IDE where there are no others", () => {
  assert.deepEqual(names(placeDrives(disks("ide", "ide", "ide"), cdroms(undefined)).ide), [
    "disk0",
    "disk1",
    "cdrom0",
    "disk2",
  ]);
});

test("more drives than there are places for are refused", () => {
  assert.throws(() => placeDrives(disks(...new Array(5).fill("ide")), []), DrivePlaceError);
  assert.throws(() => placeDrives(disks(...new Array(6).fill("ahci")), cdroms("ahci")), DrivePlaceError);
  assert.throws(() => placeDrives(disks(...new Array(257).fill("scsi")), []), /room for 256/);
});
