import { kernelContract } from "./kernel-contract.ts";

kernelContract("debian", { machine: "x86_64", mebibytes: 4 });
