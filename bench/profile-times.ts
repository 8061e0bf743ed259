/** Time by function out of a profile as V8 writes it. @spec Chrome DevTools Protocol, Profiler.Profile */
export interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
  }[];
  readonly samples: readonly number[];
  /** Microseconds from each sample to the one before. */
  readonly timeDeltas: readonly number[];
}

export interface FunctionTime {
  readonly name: string;
  /** In the function itself, without what it called. */
  readonly seconds: number;
}

/** All functions, the costliest first; those of the same name and file count as one. */
export function timesByFunction({ nodes, samples, timeDeltas }: Profile): FunctionTime[] {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const seconds = new Map<string, number>();
  samples.forEach((id, i) => {
    const name = names.get(id) ?? "(unknown)";
    seconds.set(name, (seconds.get(name) ?? 0) + (timeDeltas[i] ?? 0) / 1e6);
  });
  return [...seconds].map(([name, time]) => ({ name, seconds: time })).sort((a, b) => b.seconds - a.seconds);
}

function nameOf({ functionName, url }: { functionName: string; url: string }): string {
  const file = /[^/]+\/[^/]+\.ts$/.exec(url)?.[0];
  const name = functionName || "(anonymous)";
  return file === undefined ? name : `${name} ${file}`;
}
