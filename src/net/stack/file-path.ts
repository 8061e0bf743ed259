/** Names of files as clients send them. */

/**
 * The path in a FileTree that a name stands for: from the tree's root on, whether or not it begins with a slash, and with
 * backslashes taken for slashes, as loaders of DOS and Windows write them. Undefined for a name with "." or "..".
 */
export function servedPath(name: string): string | undefined {
  const segments = name.split(/[/\\]+/).filter((segment) => segment !== "");
  return segments.some((segment) => segment === "." || segment === "..") ? undefined : segments.join("/");
}
