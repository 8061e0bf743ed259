/**
 * An exception that a system function raises on behalf of the guest: thrown in TypeScript, never through
 * WebAssembly. No Error: page faults are frequent, and a stack trace of the host says nothing about them.
 */
export class GuestFault {
  readonly vector: number;
  readonly errorCode: number;
  constructor(vector: number, errorCode = 0) {
    this.vector = vector;
    this.errorCode = errorCode;
  }
}
