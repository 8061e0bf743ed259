import { installContract } from "../install-contract.ts";

installContract("i386", "seabios");
