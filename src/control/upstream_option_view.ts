/**
 * The options of an upstream as they are shown, and what follows when they come back as they were shown.
 *
 * Owns what may be seen of them: values of headers that may be secret and the credential of a proxy are masked.
 */
import type { BodyPatch } from "../core/body_patch.ts";
import { isSecretHeader } from "../core/option_secrets.ts";
import { parseProxyUrl } from "../core/proxy_url.ts";
import { maskSecret } from "../core/secrets.ts";
import type { SetHeaders } from "../core/set_headers.ts";
import {
  type KeyPolicy,
  NO_BILLING,
  NO_LIMITS,
  NO_SHAPING,
  type UpstreamShaping,
  type UsageChoice,
} from "../core/upstream_options.ts";
import { type OptionValues, readOptions } from "../store/config/upstream_options.ts";
import { invalidValue } from "./errors.ts";
import type { UpstreamOptionInput } from "./upstream_options.ts";

/** Safe to show. */
export interface ShownOptions {
  readonly keyPolicy: KeyPolicy;
  /** Of each key: requests at once. */
  readonly maxParallel: number | "auto" | null;
  readonly rpm: number | null;
  readonly tpm: number | null;
  /** Masked where they may be secrets; null: the client's header is left out. */
  readonly setHeaders: SetHeaders;
  readonly bodyPatch: BodyPatch | null;
  readonly onlyPaths: readonly string[];
  readonly maxBodyBytes: number | null;
  readonly streamTimeoutSeconds: number | null;
  /** 1: the list prices. */
  readonly priceFactor: number;
  readonly errorTexts: readonly string[];
  /** Without its credential. */
  readonly proxy: string | null;
  /** null: as the program's setting says. */
  readonly usage: UsageChoice | null;
}

/** Of a row; one whose options cannot be used has none. */
export function showOptions(values: OptionValues): ShownOptions {
  const read = readOptions(values);
  const { keyPolicy, limits, shaping, billing } = typeof read === "string" ? NOTHING : read;
  return {
    keyPolicy,
    ...limits,
    setHeaders: showHeaders(shaping.setHeaders),
    bodyPatch: shaping.bodyPatch,
    onlyPaths: shaping.onlyPaths,
    maxBodyBytes: shaping.maxBodyBytes,
    streamTimeoutSeconds: shaping.streamTimeoutMs === null ? null : shaping.streamTimeoutMs / 1000,
    priceFactor: billing.priceFactor,
    errorTexts: shaping.errorTexts,
    proxy: shaping.proxy === null ? null : showProxy(shaping.proxy),
    usage: billing.usage,
  };
}

const NOTHING = {
  keyPolicy: "round_robin",
  limits: NO_LIMITS,
  shaping: NO_SHAPING,
  billing: NO_BILLING,
} as const;

/** Of an upstream without any. */
export const NO_OPTIONS_SHOWN: ShownOptions = showOptions({});

function showHeaders(headers: SetHeaders): SetHeaders {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, showHeader(name, value)]));
}

function showHeader(name: string, value: string | null): string | null {
  return value !== null && isSecretHeader(name, value) ? maskSecret(value) : value;
}

function showProxy(proxy: string): string {
  const parsed = parseProxyUrl(proxy);
  if (parsed === null) return "…";
  return parsed.credential === null ? parsed.url : parsed.url.replace("://", "://…@");
}

/**
 * The input without what comes back as it was shown: that is no change.
 *
 * @param stored of the row; null: a new one
 * @throws ControlError when something else still holds what was masked
 */
export function unmaskedOptions<Input extends UpstreamOptionInput>(
  input: Input,
  stored: OptionValues | null,
): Input {
  const { setHeaders, proxy, ...rest } = input;
  const shaping = shapingOf(stored);
  const isProxyShown = shaping.proxy !== null && proxy === showProxy(shaping.proxy);
  if (!isProxyShown && proxy?.includes("…")) throw stillMasked("proxy");
  return {
    ...rest,
    ...(setHeaders === undefined ? {} : { setHeaders: unmaskedHeaders(setHeaders, shaping.setHeaders) }),
    ...(proxy === undefined || isProxyShown ? {} : { proxy }),
  } as Input;
}

function unmaskedHeaders(given: SetHeaders | null, stored: SetHeaders): SetHeaders | null {
  if (given === null) return null;
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => {
      const before = stored[name.toLowerCase()] ?? null;
      if (before !== null && value === showHeader(name.toLowerCase(), before)) return [name, before];
      if (value?.includes("…")) throw stillMasked("setHeaders");
      return [name, value];
    }),
  );
}

function stillMasked(field: "setHeaders" | "proxy") {
  return invalidValue(field, "is refused: what it holds is masked (…); type it in full");
}

function shapingOf(values: OptionValues | null): UpstreamShaping {
  const read = readOptions(values ?? {});
  return typeof read === "string" ? NO_SHAPING : read.shaping;
}

/**
 * The field with secrets that would follow an upstream to another host, because they were not given again; null: none.
 *
 * @param given as it came, in which masked values were not given
 */
export function unspokenSecret(
  given: UpstreamOptionInput,
  stored: OptionValues,
): "setHeaders" | "proxy" | null {
  const { setHeaders, proxy } = shapingOf(stored);
  const keeps = (name: string, value: string | null) => {
    if (value === null || !isSecretHeader(name, value)) return false;
    if (given.setHeaders === undefined) return true;
    return Object.entries(given.setHeaders ?? {}).some(([each, again]) =>
      each.toLowerCase() === name && again === showHeader(name, value)
    );
  };
  if (Object.entries(setHeaders).some(([name, value]) => keeps(name, value))) return "setHeaders";
  if (proxy === null || parseProxyUrl(proxy)?.credential === null) return null;
  return given.proxy === undefined || given.proxy === showProxy(proxy) ? "proxy" : null;
}

/** Whether requests, and the key, would take a way on which another proxy can read them. */
export function isReadByProxy(
  input: UpstreamOptionInput,
  { endpoint, stored }: { readonly endpoint: string | null; readonly stored: OptionValues },
): boolean {
  if (!input.proxy || input.proxy.trim() === shapingOf(stored).proxy) return false;
  return URL.parse((endpoint ?? "").trim())?.protocol !== "https:";
}
