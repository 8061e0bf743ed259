/** A quick one of the media that guest tests boot. */
import { RESCUE_FLOPPY, rescueContract } from "./media-grub-contract.ts";
import { OWN_BIOS } from "./media-machine.ts";

rescueContract(RESCUE_FLOPPY, OWN_BIOS);
