import { installContract } from "./install-contract.ts";

installContract("Debian 12 is installed from a CD, and runs from its disk", "amd64");
