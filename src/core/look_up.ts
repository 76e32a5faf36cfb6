/**
 * Whether a request asks for something that exists already.
 */

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE", "OPTIONS"]);

/** The reply to a look-up is what was found, a failed response or a cancelled run too: nothing in it is judged. */
export function isLookUp(method: string): boolean {
  return METHODS.has(method);
}
