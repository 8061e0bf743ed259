import { kernelContract } from "./kernel-contract.ts";

kernelContract("debian-backports", { machine: "x86_64", mebibytes: 64 });
