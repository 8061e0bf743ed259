import { installContract } from "../install-contract.ts";

installContract("amd64", "own");
