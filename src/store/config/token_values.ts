/**
 * The stored forms of client tokens and their names. Pure.
 */

/** The tokens of a list, empty parts left out. */
export function splitTokens(value: string): string[] {
  return value.split(",").map((part) => part.trim()).filter((part) => part !== "");
}

/** Names are a convenience: what is not a JSON object of texts counts as no names. */
export function parseNames(json: string | null): Record<string, string> {
  try {
    const value: unknown = JSON.parse(json ?? "{}");
    if (typeof value !== "object" || value === null) return {};
    return Object.fromEntries(
      Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
    );
  } catch {
    return {};
  }
}
