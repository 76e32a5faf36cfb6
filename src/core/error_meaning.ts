/**
 * What an upstream's error says about the upstream, by its code, its type and, for lack of these, its words.
 *
 * Providers use the same few names with different separators and cases, so names are compared without them. A client
 * may get its own words into a message, never into a code: what only words say is less certain.
 *
 * @see https://platform.openai.com/docs/guides/error-codes
 * @see https://docs.anthropic.com/en/api/errors
 * @see https://openrouter.ai/docs/api-reference/errors
 * @see https://help.aliyun.com/zh/model-studio/error-code
 */
import type { ReportedError } from "./reported_error.ts";

export type ErrorMeaning =
  /** The account has no credit left: the provider's own code says so. */
  | "no_credit"
  /** The same by words, which may be the client's, or for this request only. */
  | "perhaps_no_credit"
  /** The key, or an account that it names, is refused. */
  | "key"
  /** Too many requests. */
  | "rate"
  /** The upstream does not have the model. */
  | "model"
  /** The client's mistake. */
  | "client"
  /** The upstream failed. */
  | "upstream";

/** Names without separators, in lower case. The first that matches counts. */
const NAMES: readonly (readonly [RegExp, ErrorMeaning])[] = [
  [
    /^(?:402|insufficient(?:user|account)?(?:quota|balance|credits?|funds)(?:error)?|billing(?:hardlimitreached|notactive|error)|creditbalance[a-z]*|arrearage|accountoverdue(?:error)?|exceededcurrentquota(?:error)?|paymentrequired(?:error)?|outofcredits?|(?:credits?|balance)(?:exhausted|depleted|notenough|toolow)|preconsumetokenquotafailed)$/,
    "no_credit",
  ],
  [
    /^(?:401|403|(?:invalid|incorrect)(?:api)?key|(?:invalid)?authentication(?:error)?|unauthori[sz]ed|unauthenticated|permission(?:denied|error)|forbidden|accessdenied|account(?:deactivated|disabled)|invalidapikeyerror)$/,
    "key",
  ],
  [/^(?:429|ratelimit[a-z]*|toomanyrequests|throttling[a-z]*|resourceexhausted|requests|tokens)$/, "rate"],
  [
    /^(?:(?:model|deployment)not(?:found|supported|exists?|available|open)(?:error)?|nosuchmodel|(?:invalid|unknown|unsupported)model|modeldoesnotexist)$/,
    "model",
  ],
  [
    /^(?:5\d\d|408|server(?:error|overloaded|busy)?|(?:internal)?(?:server|api)error|internal(?:error)?|overloaded(?:error)?|serviceunavailable(?:error)?|unavailable|timeout(?:error)?|badgateway|gatewaytimeout|vectorstoretimeout)$/,
    "upstream",
  ],
  [
    /^(?:400|404|405|413|415|422|invalid[a-z0-9]+|badrequest[a-z]*|context(?:length|window)[a-z]*|[a-z]*notfound(?:error)?|unsupported[a-z]+|(?:string|array|integer|number|decimal)(?:above|below)[a-z]+|[a-z]*toolarge|[a-z]*toosmall|[a-z]*toolong|missing[a-z]+|unknown(?:parameter|field)|content(?:policy|filter|management)[a-z]*|[a-z]*contentpolicyviolation|datainspectionfailed|unprocessable[a-z]*|validationerror|max(?:output)?tokens[a-z]*|imageparseerror|empty[a-z]+|failedtodownloadimage|failedprecondition|moderation[a-z]*|safety)$/,
    "client",
  ],
];

/** How a message says that the account is at its end. */
const NO_CREDIT =
  /insufficient[ _](?:account |user )?(?:balance|credits?|funds|quota)|balance is (?:too low|insufficient|not enough)|(?:out of|no|not enough|used all(?: available)?) credits|requires more credits|can only afford|billing hard limit|(?:account|billing) is not active|余额不足|额度不足|额度已用尽|欠费/i;
/** What may sound like it, and passes by itself. */
const RATE_LIMIT = /rate.?limit|per (?:second|minute|hour|day)|(?:try again|retry) in|速率|频率/i;
/** Credit is left, but not for a request as large as this one. */
const FOR_THIS_REQUEST = /fewer max_tokens|can only afford/i;

/** null: nothing that is known. */
export function meaningOf({ message, code, type }: ReportedError): ErrorMeaning | null {
  const byCode = meaningOfName(code);
  const byType = meaningOfName(type);
  if (byCode === "no_credit" || byType === "no_credit") {
    return FOR_THIS_REQUEST.test(message) ? "perhaps_no_credit" : "no_credit";
  }
  // A code that says something else is more exact than words; a type such as `invalid_request_error` is not.
  if (byCode !== null && byCode !== "rate") return byCode;
  if (NO_CREDIT.test(message) && !RATE_LIMIT.test(message)) return "perhaps_no_credit";
  return byCode ?? byType;
}

/** Whether the error's code, which is more than its type, says that the client was wrong. */
export function isCodedMistake({ code }: ReportedError): boolean {
  return meaningOfName(code) === "client";
}

/** An object that a client names by its id, such as a file: another upstream may well have it. */
const OBJECT_ID =
  /(?:^|[^a-z0-9])(?:file|resp|thread|asst|conv|vs|batch|run|step|msg|item|rs|fc|cntr|upload|ftjob|video|call)[-_][a-z0-9]{6}/i;

/** Whether the error is about an object that the request names, and not about the model or the path. */
export function isAboutObject({ message, code }: ReportedError): boolean {
  return OBJECT_ID.test(message) || code === "previous_response_not_found";
}

function meaningOfName(name: string | null): ErrorMeaning | null {
  if (name === null || name.length > MAX_NAME_LENGTH) return null;
  const plain = name.toLowerCase().replaceAll(/[^a-z0-9]/g, "");
  return NAMES.find(([pattern]) => pattern.test(plain))?.[1] ?? null;
}

const MAX_NAME_LENGTH = 100;
