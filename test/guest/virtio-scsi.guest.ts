import { diskBusContract } from "./disk-bus-contract.ts";

diskBusContract({
  bus: "scsi",
  guest: "debian",
  devices: ["/dev/sda", "/dev/sdb"],
  // Page 80h of the vital product data, with its header of four bytes.
  serial: { attribute: "device/vpd_pg80", shows: /SOURCE1/ },
});
