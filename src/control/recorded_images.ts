/**
 * Pictures in recorded texts, as data URLs: where they are, and their bytes.
 *
 * Pure; trusts nothing. Only what begins as a picture of one of four formats is one, whatever its label says.
 */
import { asObject, asText } from "../capture/json.ts";

export type ImageType = "image/png" | "image/jpeg" | "image/gif" | "image/webp";

export interface RecordedImage {
  readonly type: ImageType;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** In UTF-16 units of base64. */
const MAX_BASE64_LENGTH = 24 * 1024 * 1024;
const DATA_URL = /data:image\/(?:png|jpe?g|gif|webp);base64,[A-Za-z0-9+/=]+/g;
const ONE_DATA_URL = /^data:image\/(?:png|jpe?g|gif|webp);base64,/;

/** Stands for the data of a picture in a text; a number follows. */
export const IMAGE_SCHEME = "recorded-image:";

/** The text with each picture's data replaced by its {@link IMAGE_SCHEME} and number, from 0. */
export function withoutImages(text: string): string {
  if (!text.includes("data:image/")) return text;
  let count = 0;
  return text.replace(DATA_URL, () => `${IMAGE_SCHEME}${count++}`);
}

/** The data URL of a picture in a text, by its number. */
export function imageInText(text: string, number: number): string | null {
  if (!text.includes("data:image/")) return null;
  let count = 0;
  for (const match of text.matchAll(DATA_URL)) if (count++ === number) return match[0];
  return null;
}

/** The base64 of a data URL of a picture, or of an object of Anthropic's API; null for anything else. */
export function base64Of(data: unknown): string | null {
  const text = asText(data);
  if (text !== null) {
    const head = ONE_DATA_URL.exec(text.slice(0, 64))?.[0];
    return head === undefined ? null : text.slice(head.length);
  }
  const source = asObject(data);
  const isPicture = source?.type === "base64" &&
    /^image\/(?:png|jpe?g|gif|webp)$/.test(asText(source.media_type) ?? "");
  return isPicture ? asText(source.data) : null;
}

/** Whether the data begins like a picture; only that is read. */
export function beginsLikeImage(base64: string): boolean {
  try {
    return typeOf(Uint8Array.fromBase64(base64.slice(0, 16))) !== null;
  } catch {
    return false;
  }
}

/** Null when it is no picture, or too large. */
export function decodeImage(base64: string): RecordedImage | null {
  if (base64.length > MAX_BASE64_LENGTH) return null;
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = Uint8Array.fromBase64(base64);
  } catch {
    return null;
  }
  const type = typeOf(bytes);
  return type === null ? null : { type, bytes };
}

/** By its first bytes (https://mimesniff.spec.whatwg.org/#matching-an-image-type-pattern). */
function typeOf(bytes: Uint8Array): ImageType | null {
  const start = Array.from(bytes.subarray(0, 12), (byte) => String.fromCharCode(byte)).join("");
  if (start.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (start.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (start.startsWith("GIF87a") || start.startsWith("GIF89a")) return "image/gif";
  return start.startsWith("RIFF") && start.slice(8) === "WEBP" ? "image/webp" : null;
}
