/** Bunkhouse as a library, in Node. */
export type { CpuModel, MachineEnd } from "./definition.ts";
export type { CdromBus, DiskBus } from "./drive-places.ts";
export type { Layout } from "./input/layouts.ts";
export { TypingError } from "./input/layouts.ts";
export {
  type MouseButton,
  ScreenTextError,
  type VmDisplay,
  type VmKeyboard,
  type VmMouse,
} from "./node/screen/vm-screen.ts";
export { type CdromDrive, VirtualMachine } from "./node/virtual-machine.ts";
export { DefinitionError, type FloppyDisk, type VirtualMachineOptions } from "./node/vm-options.ts";
export { ExpectError, type ExpectResult, type SerialStream } from "./serial-stream.ts";
