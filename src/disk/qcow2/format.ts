/** qcow2, QEMU's own image format, as one of the formats of formats.ts. */
import type { ImageFormat } from "../image-format.ts";
import { checkImage } from "./check.ts";
import { createImage } from "./create.ts";
import { Qcow2Disk } from "./qcow2-disk.ts";
import { resizeImage } from "./resize.ts";
import { applySnapshot, createSnapshot, deleteSnapshot, listSnapshots } from "./snapshots.ts";

export const qcow2: ImageFormat = {
  name: "qcow2",
  variants: ["v3", "v2"],
  open: (store, host, options) => Qcow2Disk.open(store, host, options),
  create: (store, host, options) => createImage(store, host, { ...options, version: options.variant === "v2" ? 2 : 3 }),
  check: (store, _host, options) => checkImage(store, options),
  resize: resizeImage,
  snapshots: { list: listSnapshots, create: createSnapshot, apply: applySnapshot, delete: deleteSnapshot },
};
