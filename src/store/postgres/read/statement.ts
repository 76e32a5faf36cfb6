/**
 * The parameters of one statement, numbered as they are added.
 */
import { cleanString } from "../shipper/clean_text.ts";

type ParameterType =
  | "bigint"
  | "float8"
  | "text"
  | "timestamptz"
  | "tsquery"
  | "bigint[]"
  | "timestamptz[]"
  | "text[]";

export class Parameters {
  readonly #values: unknown[] = [];

  get values(): readonly unknown[] {
    return this.#values;
  }

  /** Its place, with its type. Text is looked for as it would have been stored. */
  add(value: string | number | readonly unknown[], type: ParameterType): string {
    this.#values.push(typeof value === "string" ? cleanString(value) : value);
    return `$${this.#values.length}::${type}`;
  }
}
