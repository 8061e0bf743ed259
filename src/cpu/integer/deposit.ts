/** PDEP and PEXT. */
import type { WasmFunctions } from "../wasm-functions.ts";

export function depositFunctions(): WasmFunctions {
  return {
    depositBits: (f) => {
      const [source, mask] = [f.param(0), f.param(1)];
      const rest = f.variable("i64", mask);
      const bits = f.variable("i64", source);
      const result = f.variable("i64");
      f.block((end) => {
        f.loop((again) => {
          const left = rest.get();
          f.branchIf(end, left.eqz());
          const lowest = left.and(left.neg());
          const bit = bits.get();
          result.set(result.get().or(lowest.and(bit.and(1).neg())));
          bits.set(bit.shrU(1));
          rest.set(left.xor(lowest));
          f.branch(again);
        });
      });
      f.return(result.get());
    },
    extractBits: (f) => {
      const [source, mask] = [f.param(0), f.param(1)];
      const rest = f.variable("i64", mask);
      const at = f.variable("i64", 1);
      const result = f.variable("i64");
      f.block((end) => {
        f.loop((again) => {
          const left = rest.get();
          f.branchIf(end, left.eqz());
          const lowest = left.and(left.neg());
          const to = at.get();
          result.set(result.get().or(to.and(source.and(lowest).eqz().extendU().sub(1))));
          at.set(to.shl(1));
          rest.set(left.xor(lowest));
          f.branch(again);
        });
      });
      f.return(result.get());
    },
  };
}
