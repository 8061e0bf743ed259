/** An exception that a system function raises on behalf of the guest: thrown in TypeScript, never through WebAssembly. */
export class GuestFault extends Error {
  readonly vector: number;
  readonly errorCode: number;
  constructor(vector: number, errorCode = 0) {
    super(`guest exception ${vector}`);
    this.vector = vector;
    this.errorCode = errorCode;
  }
}
