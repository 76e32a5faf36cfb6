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

/** Names without separators, in lower case: as they are, or how they begin or end. */
interface Names {
  readonly meaning: ErrorMeaning;
  readonly exact: ReadonlySet<string>;
  readonly beginnings: readonly string[];
  readonly endings: readonly string[];
}

function names(meaning: ErrorMeaning, exact: string, beginnings = "", endings = ""): Names {
  const words = (text: string) => text.split(" ").filter((word) => word !== "");
  return { meaning, exact: new Set(words(exact)), beginnings: words(beginnings), endings: words(endings) };
}

/** The first that fits counts. */
const NAMES: readonly Names[] = [
  names(
    "no_credit",
    "402 insufficientquota insufficientbalance insufficientcredit insufficientcredits insufficientfunds " +
      "insufficientuserquota insufficientaccountbalance insufficientbalanceerror insufficientquotaerror " +
      "billinghardlimitreached billingnotactive billingerror arrearage accountoverdue accountoverdueerror " +
      "exceededcurrentquotaerror paymentrequired paymentrequirederror outofcredit outofcredits " +
      "creditsexhausted creditexhausted balanceexhausted balancenotenough balancetoolow preconsumetokenquotafailed",
    "creditbalance",
  ),
  names(
    "key",
    "401 403 invalidkey invalidapikey invalidapikeyerror incorrectapikey authentication authenticationerror " +
      "invalidauthentication invalidauthenticationerror unauthorized unauthenticated permissiondenied " +
      "permissionerror forbidden accessdenied accountdeactivated accountdisabled",
  ),
  names("rate", "429 toomanyrequests resourceexhausted requests tokens", "ratelimit throttling"),
  names(
    "model",
    "modelnotfound modelnotfounderror modelnotsupported modelnotexist modelnotexists modelnotavailable modelnotopen " +
      "modeldoesnotexist deploymentnotfound deploymentnotexist nosuchmodel invalidmodel unknownmodel unsupportedmodel",
  ),
  names(
    "upstream",
    "408 servererror serveroverloaded serverbusy internal internalerror internalservererror internalapierror " +
      "apierror overloaded overloadederror serviceunavailable serviceunavailableerror unavailable timeout " +
      "timeouterror badgateway gatewaytimeout vectorstoretimeout",
  ),
  names(
    "client",
    "400 404 405 413 415 422 datainspectionfailed validationerror imageparseerror failedtodownloadimage " +
      "failedprecondition unknownparameter unknownfield safety",
    "invalid badrequest contextlength contextwindow unsupported stringabove stringbelow arrayabove arraybelow " +
      "integerabove integerbelow numberabove numberbelow decimalabove decimalbelow missing contentpolicy " +
      "contentfilter contentmanagement unprocessable maxtokens maxoutputtokens empty moderation",
    "notfound notfounderror toolarge toosmall toolong contentpolicyviolation",
  ),
];

/** How a message says that the account is at its end; in lower case. */
const NO_CREDIT: readonly string[] = [
  "insufficient balance",
  "insufficient account balance",
  "insufficient credit",
  "insufficient funds",
  "insufficient quota",
  "insufficient user quota",
  "insufficient_balance",
  "insufficient_credit",
  "insufficient_quota",
  "balance is too low",
  "balance is insufficient",
  "balance is not enough",
  "out of credits",
  "no credits",
  "not enough credits",
  "used all available credits",
  "requires more credits",
  "can only afford",
  "billing hard limit",
  "account is not active",
  "余额不足",
  "额度不足",
  "额度已用尽",
  "欠费",
];
/** What may sound like it, and passes by itself. */
const RATE_LIMIT: readonly string[] = [
  "rate limit",
  "rate-limit",
  "rate_limit",
  "per second",
  "per minute",
  "per hour",
  "per day",
  "try again in",
  "retry in",
  "速率",
  "频率",
];
/** Credit is left, but not for a request as large as this one. */
const FOR_THIS_REQUEST: readonly string[] = ["fewer max_tokens", "can only afford"];

/** null: nothing that is known. */
export function meaningOf({ message, code, type }: ReportedError): ErrorMeaning | null {
  const text = message.toLowerCase();
  const says = (parts: readonly string[]) => parts.some((part) => text.includes(part));
  const byCode = meaningOfName(code);
  const byType = meaningOfName(type);
  if (byCode === "no_credit" || byType === "no_credit") {
    return says(FOR_THIS_REQUEST) ? "perhaps_no_credit" : "no_credit";
  }
  // A code that says something else is more exact than words; a type such as `invalid_request_error` is not.
  if (byCode !== null && byCode !== "rate") return byCode;
  if (says(NO_CREDIT) && !says(RATE_LIMIT)) return "perhaps_no_credit";
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
  if (/^5\d\d$/.test(plain)) return "upstream";
  const found = NAMES.find(({ exact, beginnings, endings }) =>
    exact.has(plain) || beginnings.some((part) => plain.startsWith(part)) ||
    endings.some((part) => plain.endsWith(part))
  );
  return found?.meaning ?? null;
}

const MAX_NAME_LENGTH = 100;
