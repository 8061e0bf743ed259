import { kernelContract } from "./kernel-contract.ts";

kernelContract("debian-686-pae", { machine: "i686", mebibytes: 64 });
