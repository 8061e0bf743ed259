import { installerContract } from "./installer-contract.ts";

installerContract("debian-installer-i386");
