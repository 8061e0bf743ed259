import { diskBusContract } from "./disk-bus-contract.ts";

diskBusContract({
  bus: "nvme",
  guest: "debian",
  devices: ["/dev/nvme0n1", "/dev/nvme1n1"],
  serial: { attribute: "device/serial", shows: /^SOURCE1 *$/m },
});
