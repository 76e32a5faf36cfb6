/**
 * Replaces the model that a request body names, and leaves every other byte as it is.
 *
 * Parsing and printing the body again would change numbers, escapes and key order; an upstream must get what
 * the client wrote.
 */
import { Buffer } from "node:buffer";
import type { ModelPlace } from "./request_fields.ts";
import type { Upstream } from "./types.ts";

/** The model's name at this upstream. */
export function modelAt({ modelMap }: Pick<Upstream, "modelMap">, model: string): string {
  return modelMap[model] ?? model;
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
