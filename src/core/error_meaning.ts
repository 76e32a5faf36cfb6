/**
 * What an upstream's error means, by its code, its type and, for lack of these, its words: whose fault it is, which HTTP
 * status it stands for, and whether the request is too long. The one table of error names.
 *
 * Providers use the same few names with different separators and cases, so names are compared without them. A client
 * may get its own words into a message, never into a code: what only words say is less certain. Pure.
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
  /** The request is too long for the model. */
  | "too_long"
  /** Another mistake of the client. */
  | "client"
  /** The upstream failed. */
  | "upstream";

/** What a name says. */
interface NameMeaning {
  readonly meaning: ErrorMeaning;
  /** HTTP status with which such an error comes when it has one of its own. */
  readonly status: number;
}

/** Names without separators, in lower case: as they are, or how they begin or end. */
interface Names extends NameMeaning {
  readonly exact: ReadonlySet<string>;
  readonly beginnings: readonly string[];
  readonly endings: readonly string[];
}

function names(
  meaning: ErrorMeaning,
  status: number,
  { exact = "", beginnings = "", endings = "" }: {
    readonly exact?: string;
    readonly beginnings?: string;
    readonly endings?: string;
  },
): Names {
  const words = (text: string) => text.split(" ").filter((word) => word !== "");
  return {
    meaning,
    status,
    exact: new Set(words(exact)),
    beginnings: words(beginnings),
    endings: words(endings),
  };
}

/** OpenAI's for `insufficient_quota`. */
const NO_CREDIT_STATUS = 429;

/** The first that fits counts. */
const NAMES: readonly Names[] = [
  names("no_credit", 402, { exact: "billingerror paymentrequired paymentrequirederror" }),
  names("no_credit", NO_CREDIT_STATUS, {
    exact: "insufficientquota insufficientbalance insufficientcredit insufficientcredits insufficientfunds " +
      "insufficientuserquota insufficientaccountbalance insufficientbalanceerror insufficientquotaerror " +
      "billinghardlimitreached billingnotactive arrearage accountoverdue accountoverdueerror " +
      "exceededcurrentquotaerror outofcredit outofcredits " +
      "creditsexhausted creditexhausted balanceexhausted balancenotenough balancetoolow preconsumetokenquotafailed",
    beginnings: "creditbalance",
  }),
  names("key", 401, {
    exact: "invalidkey invalidapikey invalidapikeyerror incorrectapikey authentication authenticationerror " +
      "invalidauthentication invalidauthenticationerror unauthorized unauthenticated",
  }),
  names("key", 403, {
    exact: "permissiondenied permissionerror forbidden accessdenied accountdeactivated accountdisabled",
  }),
  names("rate", 429, {
    exact: "toomanyrequests resourceexhausted requests tokens",
    beginnings: "ratelimit throttling",
  }),
  names("model", 404, {
    exact:
      "modelnotfound modelnotfounderror modelnotsupported modelnotexist modelnotexists modelnotavailable " +
      "modelnotopen modeldoesnotexist deploymentnotfound deploymentnotexist nosuchmodel invalidmodel unknownmodel " +
      "unsupportedmodel",
  }),
  names("upstream", 500, {
    exact:
      "servererror serveroverloaded serverbusy internal internalerror internalservererror internalapierror " +
      "apierror overloaded overloadederror serviceunavailable serviceunavailableerror unavailable timeout " +
      "timeouterror badgateway gatewaytimeout vectorstoretimeout",
  }),
  names("too_long", 413, { exact: "requesttoolarge" }),
  names("too_long", 400, {
    exact: "stringabovemaxlength modelcontextwindowexceeded promptistoolong prompttoolong inputtoolong",
    beginnings: "contextlength contextwindow exceedcontext",
  }),
  names("client", 400, { exact: "previousresponsenotfound" }),
  names("client", 404, { endings: "notfound notfounderror" }),
  names("client", 400, {
    exact: "datainspectionfailed validationerror imageparseerror failedtodownloadimage failedprecondition " +
      "unknownparameter unknownfield safety",
    beginnings: "invalid badrequest unsupported stringabove stringbelow arrayabove arraybelow " +
      "integerabove integerbelow numberabove numberbelow decimalabove decimalbelow missing contentpolicy " +
      "contentfilter contentmanagement unprocessable maxtokens maxoutputtokens empty moderation",
    endings: "toolarge toosmall toolong contentpolicyviolation",
  }),
];

/** How a message says that the account is at its end; like all phrases in lower case, with blanks as separators. */
const NO_CREDIT: readonly string[] = [
  "insufficient balance",
  "insufficient account balance",
  "insufficient credit",
  "insufficient funds",
  "insufficient quota",
  "insufficient user quota",
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
const FOR_THIS_REQUEST: readonly string[] = ["fewer max tokens", "can only afford"];

/** How a message says that the request is too long, where there is no code for it (Anthropic, Google, Bedrock, vLLM). */
const TOO_LONG: readonly string[] = [
  "prompt is too long",
  "input is too long",
  "maximum context length",
  "maximum prompt length",
  "context length exceeded",
  "context window",
  "maximum number of tokens",
];
const MAX_TOO_LONG_LENGTH = 500;

/** null: nothing that is known. */
export function meaningOf({ message, code, type }: ReportedError): ErrorMeaning | null {
  const byCode = ofName(code)?.meaning ?? null;
  const byType = ofName(type)?.meaning ?? null;
  const text = phrasesOf(message);
  if (byCode === "no_credit" || byType === "no_credit") {
    return says(text, FOR_THIS_REQUEST) ? "perhaps_no_credit" : "no_credit";
  }
  // A code that says something else is more exact than words; a type such as `invalid_request_error` is not.
  if (byCode !== null && byCode !== "rate") return byCode;
  if (says(text, NO_CREDIT) && !says(text, RATE_LIMIT)) return "perhaps_no_credit";
  return byCode ?? byType;
}

/**
 * The HTTP status that an error stands for when it came without one of its own, within a 200 or in a stream: from 400 to
 * 599; 500 when nothing is known of it.
 */
export function impliedStatus(error: ReportedError): number {
  const byCode = ofName(error.code);
  if (byCode !== null) return byCode.status;
  return meaningOf(error) === "perhaps_no_credit" ? NO_CREDIT_STATUS : ofName(error.type)?.status ?? 500;
}

/**
 * Whether the request is too long for the model. Another model may take it; the same one at the same endpoint says the
 * same again, whatever the key.
 * @param error null: not known
 * @param status with which it came
 */
export function isTooLong(error: ReportedError | null, status: number): boolean {
  if (status === 413) return true;
  if (error === null) return false;
  if ([error.code, error.type].some((name) => ofName(name)?.meaning === "too_long")) return true;
  if (status >= 500 || status === 429) return false;
  return says(phrasesOf(error.message.slice(0, MAX_TOO_LONG_LENGTH)), TOO_LONG);
}

/** Whether the error's code, which is more than its type, says that the client was wrong. */
export function isCodedMistake({ code }: ReportedError): boolean {
  const meaning = ofName(code)?.meaning;
  return meaning === "client" || meaning === "too_long";
}

/** An object that a client names by its id, such as a file: another upstream may well have it. */
const OBJECT_ID =
  /(?:^|[^a-z0-9])(?:file|resp|thread|asst|conv|vs|batch|run|step|msg|item|rs|fc|cntr|upload|ftjob|video|call)[-_][a-z0-9]{6}/i;

/** Whether the error is about an object that the request names, and not about the model or the path. */
export function isAboutObject({ message, code }: ReportedError): boolean {
  return OBJECT_ID.test(message) || (code !== null && plainName(code) === "previousresponsenotfound");
}

function ofName(name: string | null): NameMeaning | null {
  if (name === null || name.length > MAX_NAME_LENGTH) return null;
  const plain = plainName(name);
  if (/^[45]\d\d$/.test(plain)) return ofStatus(Number(plain));
  return NAMES.find(({ exact, beginnings, endings }) =>
    exact.has(plain) || beginnings.some((part) => plain.startsWith(part)) ||
    endings.some((part) => plain.endsWith(part))
  ) ?? null;
}

const MAX_NAME_LENGTH = 100;

/** A code that is an HTTP status. */
function ofStatus(status: number): NameMeaning {
  switch (status) {
    case 401:
    case 403:
      return { meaning: "key", status };
    case 402:
      return { meaning: "no_credit", status };
    case 408:
      return { meaning: "upstream", status };
    case 429:
      return { meaning: "rate", status };
    default:
      return { meaning: status < 500 ? "client" : "upstream", status };
  }
}

function plainName(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, "");
}

/** A message, as phrases are found in it. */
function phrasesOf(message: string): string {
  return message.toLowerCase().replaceAll(/[\s_-]+/g, " ");
}

function says(text: string, phrases: readonly string[]): boolean {
  return phrases.some((phrase) => text.includes(phrase));
}
