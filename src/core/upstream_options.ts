/**
 * What may be set of an upstream besides its endpoint, key and models: limits, and how requests to it are shaped. Plain
 * data only.
 */
import type { BodyPatch } from "./body_patch.ts";
import type { SetHeaders } from "./set_headers.ts";

/** How a request that any key of an upstream may serve is given to one of them: in turn, or to the first that has room. */
export const KEY_POLICIES = ["round_robin", "fill"] as const;
export type KeyPolicy = typeof KEY_POLICIES[number];

/** For each key of an upstream; null: no limit. */
export interface UpstreamLimits {
  /** Requests at once; `auto`: as many as it takes without refusing any. */
  readonly maxParallel: number | "auto" | null;
  /** Requests in a minute. */
  readonly rpm: number | null;
  /** Tokens in a minute, of requests and replies. */
  readonly tpm: number | null;
}

export const NO_LIMITS: UpstreamLimits = { maxParallel: null, rpm: null, tpm: null };

/** What is changed of requests to an upstream, and which of them it gets. */
export interface UpstreamShaping {
  /** By name in lower case; null: the header is left out. */
  readonly setHeaders: SetHeaders;
  /** A merge patch (RFC 7396) of JSON bodies; null: none. */
  readonly bodyPatch: BodyPatch | null;
  /** Globs on the path, such as `/v1/chat/*`; empty: all. */
  readonly onlyPaths: readonly string[];
  /** Requests with more bytes than that, as the client sends them, are not for it; null: any size. */
  readonly maxBodyBytes: number | null;
  /** Time allowed from the request to the first content of a stream; null: the rules for all. */
  readonly streamTimeoutMs: number | null;
  /** Globs on the beginning of a reply's text that tell an error in the form of a success. */
  readonly errorTexts: readonly string[];
  /** URL of the proxy through which it is reached (`http:`, `https:`, `socks5:`); null: as all others. May hold a password. */
  readonly proxy: string | null;
}

export const NO_SHAPING: UpstreamShaping = {
  setHeaders: {},
  bodyPatch: null,
  onlyPaths: [],
  maxBodyBytes: null,
  streamTimeoutMs: null,
  errorTexts: [],
  proxy: null,
};

/** Whether streams whose client has not asked for usage are asked for it. */
export const USAGE_CHOICES = ["auto", "never"] as const;
export type UsageChoice = typeof USAGE_CHOICES[number];

/** How what an upstream used is found out, and what it costs. */
export interface UpstreamBilling {
  /** Whether streams are asked for their usage when the client has not; null: as the program's setting says. */
  readonly usage: UsageChoice | null;
  /** Its prices are the list prices times this; 1: the list prices. */
  readonly priceFactor: number;
}

export const NO_BILLING: UpstreamBilling = { usage: null, priceFactor: 1 };
