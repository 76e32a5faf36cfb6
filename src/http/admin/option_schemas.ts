/**
 * The options of an upstream in the admin API: what it takes and what it answers.
 *
 * Owns their bounds there; what a value may be is checked again where it is stored.
 */
import { z } from "zod";
import {
  MAX_PARALLEL,
  MAX_PRICE_FACTOR,
  MAX_RATE,
  MAX_STREAM_TIMEOUT_SECONDS,
} from "../../control/upstream_options.ts";
import { MAX_SET_HEADERS } from "../../core/set_headers.ts";
import { KEY_POLICIES, USAGE_CHOICES } from "../../core/upstream_options.ts";

const MAX_PATHS = 200;
const MAX_TEXTS = 50;

const keyPolicy = z.enum(KEY_POLICIES);
const usage = z.enum(USAGE_CHOICES).nullable();
const rate = z.int().min(1).max(MAX_RATE).nullable();
const headers = z.record(z.string(), z.string().nullable());

const DESCRIPTIONS = {
  keyPolicy: "which of several keys is used: in turn, or the first that has room",
  maxParallel: "requests at once for each key; null: no limit",
  rpm: "requests in a minute for each key; null: no limit",
  tpm: "tokens in a minute for each key; null: no limit",
  setHeaders:
    "headers of each request to it; null as a value leaves the client's out; what may be a secret is masked",
  bodyPatch: "merge patch (RFC 7396) of JSON bodies; null: none",
  onlyPaths: "globs on the path; empty: every path",
  maxBodyBytes: "larger requests are not for it, counted as the client sends them; null: any size",
  streamTimeoutSeconds: "from the request to the first content of a stream; null: by the request",
  priceFactor:
    "its prices are the list prices times this, which has six decimals at most; 1: the list prices",
  errorTexts:
    "globs on the beginning of a reply's text that tell an error; one without wildcard may stand anywhere in it",
  proxy:
    "URL of the proxy by way of which it is reached (http, https, socks5); its credential is masked; null: none",
  usage:
    "whether streams whose client has not asked for usage are asked for it; null: as the server's setting says",
} as const;

/** Of a new upstream, and of changes. A masked value that comes back as it was shown stays as it is. */
export const optionFields = {
  keyPolicy: keyPolicy.nullable().describe(DESCRIPTIONS.keyPolicy),
  maxParallel: z.union([z.int().min(1).max(MAX_PARALLEL), z.literal("auto")]).nullable()
    .describe(DESCRIPTIONS.maxParallel),
  rpm: rate.describe(DESCRIPTIONS.rpm),
  tpm: rate.describe(DESCRIPTIONS.tpm),
  setHeaders: z.record(z.string().min(1).max(128), z.string().max(4_096).nullable())
    .refine((all) => Object.keys(all).length <= MAX_SET_HEADERS, `at most ${MAX_SET_HEADERS} headers`)
    .nullable().describe(DESCRIPTIONS.setHeaders),
  bodyPatch: z.record(z.string(), z.unknown()).nullable().describe(DESCRIPTIONS.bodyPatch),
  onlyPaths: z.array(z.string().min(1).max(200)).max(MAX_PATHS).describe(DESCRIPTIONS.onlyPaths),
  maxBodyBytes: z.int().min(1).nullable().describe(DESCRIPTIONS.maxBodyBytes),
  streamTimeoutSeconds: z.int().min(1).max(MAX_STREAM_TIMEOUT_SECONDS).nullable()
    .describe(DESCRIPTIONS.streamTimeoutSeconds),
  priceFactor: z.number().min(0).max(MAX_PRICE_FACTOR).nullable().describe(DESCRIPTIONS.priceFactor),
  errorTexts: z.array(z.string().min(1).max(200)).max(MAX_TEXTS).describe(DESCRIPTIONS.errorTexts),
  proxy: z.string().min(1).max(1_024).nullable().describe(DESCRIPTIONS.proxy),
  usage: usage.describe(DESCRIPTIONS.usage),
};

/** As they are answered. */
export const shownOptions = {
  keyPolicy: keyPolicy.describe(DESCRIPTIONS.keyPolicy),
  maxParallel: z.union([z.number(), z.literal("auto")]).nullable().describe(DESCRIPTIONS.maxParallel),
  rpm: z.number().nullable().describe(DESCRIPTIONS.rpm),
  tpm: z.number().nullable().describe(DESCRIPTIONS.tpm),
  setHeaders: headers.describe(DESCRIPTIONS.setHeaders),
  bodyPatch: z.record(z.string(), z.unknown()).nullable().describe(DESCRIPTIONS.bodyPatch),
  onlyPaths: z.array(z.string()).describe(DESCRIPTIONS.onlyPaths),
  maxBodyBytes: z.number().nullable().describe(DESCRIPTIONS.maxBodyBytes),
  streamTimeoutSeconds: z.number().nullable().describe(DESCRIPTIONS.streamTimeoutSeconds),
  priceFactor: z.number().describe(DESCRIPTIONS.priceFactor),
  errorTexts: z.array(z.string()).describe(DESCRIPTIONS.errorTexts),
  proxy: z.string().nullable().describe(DESCRIPTIONS.proxy),
  usage: usage.describe(DESCRIPTIONS.usage),
};
