export declare const CODE_OPTIONS: readonly string[];
export declare function codeDirectory(): string;
export declare function runtimePath(): string;
export declare function runOnRuntime(args: readonly string[]): Promise<void>;
