/**
 * Replaces the model that a request's body or path names, and leaves everything else as it is.
 *
 * Parsing and printing the body again would change numbers, escapes and key order; an upstream must get what
 * the client wrote.
 */
import { Buffer } from "node:buffer";
import type { Span } from "./json_members.ts";
import type { ModelPlace } from "./request_fields.ts";

/** An upstream's model aliases: requested name to its own. */
interface Aliases {
  readonly modelMap: Readonly<Record<string, string>>;
}

/** The model's name at this upstream. */
export function modelAt({ modelMap }: Aliases, model: string): string {
  return aliasOf(modelMap, model) ?? model;
}

/** The model that a path names, decoded, and where. */
export interface PathModel extends Span {
  readonly name: string;
  /** Its slashes are not encoded. */
  readonly hasSlashes: boolean;
}

/** An upstream's name for a model; null when it has no other one. */
export function aliasOf(modelMap: Readonly<Record<string, string>>, model: string): string | null {
  // Clients choose the name: `constructor` is none of the map's own.
  return Object.hasOwn(modelMap, model) ? modelMap[model] ?? null : null;
}

/** The body with another model's name in that place. */
export function withModel(
  body: Uint8Array<ArrayBuffer>,
  place: ModelPlace,
  model: string,
): Uint8Array<ArrayBuffer> {
  const name = Buffer.from(place.form === "json" ? JSON.stringify(model) : model, "utf8");
  const replaced = new Uint8Array(body.length - (place.end - place.start) + name.length);
  replaced.set(body.subarray(0, place.start));
  replaced.set(name, place.start);
  replaced.set(body.subarray(place.end), place.start + name.length);
  return replaced;
}

/** The path with another model's name in that place, percent-encoded as the client did. */
export function withPathModel(path: string, { start, end, hasSlashes }: PathModel, model: string): string {
  const encoded = encodeURIComponent(model);
  return path.slice(0, start) + (hasSlashes ? encoded.replaceAll("%2F", "/") : encoded) + path.slice(end);
}
