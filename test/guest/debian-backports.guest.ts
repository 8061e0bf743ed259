import { kernelContract } from "./kernel-contract.ts";

kernelContract("debian-backports", "x86_64");
