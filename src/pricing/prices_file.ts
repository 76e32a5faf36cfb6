/**
 * The file of `--prices`: read at the start, and again when it has changed.
 */
import { type FilePrices } from "./price_list.ts";
import { type JsonEntries, PricesError, readOwnPrices } from "./file_prices.ts";
import { isLiteLlm, readLiteLlmPrices } from "./litellm_prices.ts";

const MAX_BYTES = 64 * 1024 * 1024;

/** Prices as a text in either form. @throws PricesError */
export function parsePrices(text: string): FilePrices {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new PricesError("it is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new PricesError("it is not a JSON object");
  }
  const entries: JsonEntries = Object.entries(value);
  return isLiteLlm(entries) ? readLiteLlmPrices(entries) : readOwnPrices(entries);
}

/** @throws PricesError, also when it cannot be read */
export function readPricesFile(path: string): FilePrices {
  return parsePrices(readBounded(path));
}

/** Changes when the file does; null: it cannot be looked at. */
export function versionOf(path: string): string | null {
  try {
    const { mtime, size, ino } = Deno.statSync(path);
    return `${mtime?.getTime() ?? ""} ${size} ${ino ?? ""}`;
  } catch {
    return null;
  }
}

function readBounded(path: string): string {
  try {
    const { isFile, size } = Deno.statSync(path);
    if (!isFile) throw new PricesError("it is no file");
    if (size > MAX_BYTES) throw new PricesError(`it is larger than ${MAX_BYTES} bytes`);
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof PricesError) throw error;
    throw new PricesError(
      error instanceof Deno.errors.NotFound ? "there is no such file" : "it cannot be read",
    );
  }
}
