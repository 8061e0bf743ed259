import { kernelContract } from "./kernel-contract.ts";

kernelContract("debian", "x86_64");
