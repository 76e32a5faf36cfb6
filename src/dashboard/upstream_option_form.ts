/**
 * The options of an upstream in its form: converts them to field values, and field values to a change. Pure.
 */
import { readOptionTexts, type UpstreamOptionInput } from "../control/upstream_options.ts";
import type { ShownOptions } from "../control/upstream_option_view.ts";

export interface OptionForm {
  readonly maxParallel: string;
  readonly rpm: string;
  readonly tpm: string;
  readonly keyPolicy: string;
  /** `Name: value` or `-Name` a line. */
  readonly setHeaders: string;
  /** JSON. */
  readonly bodyPatch: string;
  readonly onlyPaths: string;
  readonly maxBody: string;
  readonly streamTimeout: string;
  readonly priceFactor: string;
  /** One a line. */
  readonly errorTexts: string;
  readonly proxy: string;
  readonly usage: string;
}

export const EMPTY_OPTION_FORM: OptionForm = {
  maxParallel: "",
  rpm: "",
  tpm: "",
  keyPolicy: "",
  setHeaders: "",
  bodyPatch: "",
  onlyPaths: "",
  maxBody: "",
  streamTimeout: "",
  priceFactor: "",
  errorTexts: "",
  proxy: "",
  usage: "",
};

export const OPTION_FIELD_NAMES = Object.keys(EMPTY_OPTION_FORM) as readonly (keyof OptionForm)[];

export function optionFormOf(options: ShownOptions): OptionForm {
  const { setHeaders, bodyPatch, keyPolicy } = options;
  return {
    maxParallel: textOf(options.maxParallel),
    rpm: textOf(options.rpm),
    tpm: textOf(options.tpm),
    keyPolicy: keyPolicy === "round_robin" ? "" : keyPolicy,
    setHeaders: Object.entries(setHeaders).map(([name, value]) =>
      value === null ? `-${name}` : `${name}: ${value}`
    ).join("\n"),
    bodyPatch: bodyPatch === null ? "" : JSON.stringify(bodyPatch),
    onlyPaths: options.onlyPaths.join(", "),
    maxBody: textOf(options.maxBodyBytes),
    streamTimeout: textOf(options.streamTimeoutSeconds),
    priceFactor: options.priceFactor === 1 ? "" : String(options.priceFactor),
    errorTexts: options.errorTexts.join("\n"),
    proxy: options.proxy ?? "",
    usage: options.usage ?? "",
  };
}

function textOf(value: number | string | null): string {
  return value === null ? "" : String(value);
}

/**
 * The fields that were changed.
 *
 * @throws ControlError `invalid`
 */
export function optionInput(
  form: OptionForm,
  isChanged: (field: keyof OptionForm) => boolean,
): UpstreamOptionInput {
  const given = (field: keyof OptionForm) => isChanged(field) ? form[field] : undefined;
  const headers = given("setHeaders");
  return readOptionTexts({
    maxParallel: given("maxParallel"),
    rpm: given("rpm"),
    tpm: given("tpm"),
    keyPolicy: given("keyPolicy"),
    bodyPatch: given("bodyPatch"),
    onlyPaths: given("onlyPaths"),
    maxBody: given("maxBody"),
    streamTimeout: given("streamTimeout"),
    priceFactor: given("priceFactor"),
    errorText: given("errorTexts") === undefined ? undefined : linesOf(form.errorTexts),
    proxy: given("proxy"),
    usage: given("usage"),
    setHeader: headers === undefined ? undefined : linesOf(headers).filter((line) => !line.startsWith("-")),
    unsetHeader: headers === undefined
      ? undefined
      : linesOf(headers).filter((line) => line.startsWith("-")).map((line) => line.slice(1).trim()),
  });
}

function linesOf(text: string): string[] {
  return text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
}
