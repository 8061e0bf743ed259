import { kernelContract } from "./kernel-contract.ts";

kernelContract("debian-686-pae", "i686");
