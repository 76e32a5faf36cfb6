/**
 * How a request beyond a limit of its token is refused: in the form that the SDKs obey. Pure.
 *
 * Messages name the limit and the token's name, never the token. `retry-after-ms` is read by the SDKs of OpenAI and
 * Anthropic, which do not try again where `x-should-retry` is false.
 *
 * @see https://github.com/openai/openai-node/blob/master/src/client.ts (shouldRetry, retryRequest)
 */
import type { ClientRules } from "../../core/client_rules.ts";
import { cutText, MAX_SHOWN_NAME_LENGTH } from "../../core/cut_text.ts";
import { RouterError } from "../../core/errors.ts";
import type { FixedHeaders } from "../../core/fixed_headers.ts";
import { budgetText, usdText } from "../../core/money.ts";
import type { ClientUse, LimitHit } from "./client_use.ts";

/** Until another request may have ended. */
const SOON_MS = 1_000;

/** @param nowMs monotonic */
export function limitError(use: ClientUse, hit: LimitHit, nowMs: number): RouterError {
  const { name, limits } = use.rules;
  const waitMs = hit.waitMs ?? SOON_MS;
  const seconds = Math.ceil(waitMs / 1000);
  const what = hit.limit === "rpm"
    ? `${limits.rpm} requests a minute (rpm)`
    : hit.limit === "tpm"
    ? `${limits.tpm} tokens a minute (tpm)`
    : `${limits.maxParallel} requests at once (max_parallel)`;
  const when = hit.waitMs === null ? "when another request has ended" : `in ${seconds} s`;
  return new RouterError(
    429,
    "rate_limit_exceeded",
    `The token ${name} may have ${what}; try again ${when}`,
    {
      limit: {
        type: hit.limit === "tpm" ? "tokens" : "requests",
        headers: [...waiting(waitMs), ...use.headers(nowMs) ?? []],
      },
    },
  );
}

/** Nothing will change before the period ends. @param untilEndMs null: it never does */
export function quotaError(
  { name, limits: { budget } }: ClientRules,
  { spentNano, costNano, untilEndMs }: {
    readonly spentNano: number;
    readonly costNano: number;
    readonly untilEndMs: number | null;
  },
): RouterError {
  const shown = budget === null ? "" : ` of ${budgetText(budget)}`;
  const end = untilEndMs === null
    ? "it does not begin anew; ask for a larger one"
    : `it begins anew in ${Math.ceil(untilEndMs / 1000)} s`;
  return new RouterError(
    429,
    "insufficient_quota",
    `The budget${shown} USD of the token ${name} is used up: ${
      usdText(spentNano)
    } are spent, and this request may ` +
      `cost ${usdText(costNano)}; ${end}`,
    {
      limit: {
        type: "insufficient_quota",
        headers: [
          ...untilEndMs === null ? [] : [["retry-after", String(Math.ceil(untilEndMs / 1000))] as const],
          ["x-should-retry", "false"],
        ],
      },
    },
  );
}

/** It fits when requests under way have cost less than was reserved for them. */
export function reservedError({ name }: ClientRules): RouterError {
  return new RouterError(
    429,
    "budget_reserved",
    `What is left of the budget of the token ${name} is reserved for requests under way; try again in a moment`,
    { limit: { type: "requests", headers: waiting(SOON_MS) } },
  );
}

export function unavailableError({ name }: ClientRules): RouterError {
  return new RouterError(
    503,
    "budget_unavailable",
    `What the token ${name} has spent cannot be noted now, and its budget must hold: the database cannot be used; ` +
      "try again in a moment",
    { limit: { type: "server_error", headers: waiting(SOON_MS) } },
  );
}

/** A budget that cannot be counted is none. */
export function priceError(
  { name }: ClientRules,
  { model, upstream }: { readonly model: string | null; readonly upstream: string },
): RouterError {
  const subject = model === null
    ? "of this request"
    : `of the model ${cutText(model, MAX_SHOWN_NAME_LENGTH)}`;
  return new RouterError(
    403,
    "price_unknown",
    `The token ${name} has a budget, and the price ${subject} at the upstream ${
      cutText(upstream, MAX_SHOWN_NAME_LENGTH)
    } is not known; give it in the file of --prices, 0 if it costs nothing`,
    { limit: { type: "invalid_request_error", headers: [] } },
  );
}

/** What it begins is charged where the router does not see it. */
export function uncountedError({ name }: ClientRules, path: string): RouterError {
  return new RouterError(
    403,
    "price_unknown",
    `The token ${name} has a budget, and what ${
      cutText(path, MAX_SHOWN_NAME_LENGTH)
    } begins is charged where it cannot be ` +
      "counted; use a token without one",
    { limit: { type: "invalid_request_error", headers: [] } },
  );
}

function waiting(ms: number): FixedHeaders {
  const atLeast = Math.max(1, Math.ceil(ms));
  return [
    ["retry-after", String(Math.ceil(atLeast / 1000))],
    ["retry-after-ms", String(atLeast)],
  ];
}
