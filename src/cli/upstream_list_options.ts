/**
 * The options of an upstream in `list`: in short for people, and all of them for programs.
 */
import type { ShownOptions } from "../control/upstream_option_view.ts";
import { formatBytes } from "../core/recorded_text.ts";

/** Their names are keys of `list --json`. Secrets are masked. */
export type ListedOptions = Readonly<
  & Pick<ShownOptions, "keyPolicy" | "maxParallel" | "rpm" | "tpm" | "setHeaders" | "bodyPatch" | "onlyPaths">
  & {
    /** Bytes. */
    readonly maxBody: number | null;
    /** Seconds. */
    readonly streamTimeout: number | null;
    /** 1: the list prices. */
    readonly priceFactor: number;
    readonly errorText: readonly string[];
    readonly proxy: string | null;
    readonly usage: ShownOptions["usage"];
  }
>;

export function listedOptions(options: ShownOptions): ListedOptions {
  const { keyPolicy, maxParallel, rpm, tpm, setHeaders, bodyPatch, onlyPaths, proxy, usage } = options;
  return {
    ...{ keyPolicy, maxParallel, rpm, tpm, setHeaders, bodyPatch, onlyPaths },
    maxBody: options.maxBodyBytes,
    streamTimeout: options.streamTimeoutSeconds,
    priceFactor: options.priceFactor,
    errorText: options.errorTexts,
    proxy,
    usage,
  };
}

/** `max 4 parallel, 60/min, changes requests` */
export function shortOptions(options: ListedOptions): string[] {
  const { keyPolicy, maxParallel, rpm, tpm, setHeaders, bodyPatch, onlyPaths, maxBody } = options;
  const isChanging = Object.keys(setHeaders).length > 0 || bodyPatch !== null;
  return [
    ...(keyPolicy === "fill" ? ["keys: fill"] : []),
    ...(maxParallel === null
      ? []
      : [maxParallel === "auto" ? "auto parallel" : `max ${maxParallel} parallel`]),
    ...(rpm === null ? [] : [`${rpm}/min`]),
    ...(tpm === null ? [] : [`${tpm} tokens/min`]),
    ...(isChanging ? ["changes requests"] : []),
    ...(onlyPaths.length === 0 ? [] : [`only ${onlyPaths.join(" ")}`]),
    ...(maxBody === null ? [] : [`bodies up to ${formatBytes(maxBody)}`]),
    ...(options.streamTimeout === null ? [] : [`streams within ${options.streamTimeout} s`]),
    ...(options.priceFactor === 1 ? [] : [`prices x ${options.priceFactor}`]),
    ...(options.errorText.length === 0 ? [] : ["error texts"]),
    ...(options.proxy === null ? [] : [`by ${options.proxy}`]),
    ...(options.usage === null ? [] : [`usage ${options.usage}`]),
  ];
}
