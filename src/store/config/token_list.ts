/**
 * The tokens as `config_kvs` keeps them: a list with commas, which the Go program reads and edits too, and beside it a JSON
 * object with their names, by digest. Pure.
 */
import { sha256 } from "../../core/digest.ts";

export function splitTokens(value: string): string[] {
  return value.split(",").map((part) => part.trim()).filter((part) => part !== "");
}

/** Stands for a token where the token itself must not be. */
export function digest(secret: string): string {
  return sha256(secret).toString("hex");
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
