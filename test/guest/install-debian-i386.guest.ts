import { installContract } from "./install-contract.ts";

installContract("Debian 12 for i386 is installed from a CD, and runs from its disk", "i386");
