/**
 * Whether a JSON value says anything, or is no more than the shell around something that never came.
 *
 * Pure and bounded. For what no reader knows: opaque items, unknown events, documents in a shape of their own.
 */
import { asObject, type JsonObject } from "./json.ts";

/** Keys, without `_` and in lower case, under which nothing is said, whatever they hold. */
const FRAME_KEYS: ReadonlySet<string> = new Set([
  "baseresp",
  "contentfilterresults",
  "detail",
  "details",
  "error",
  "errors",
  "extracontent",
  "fault",
  "instance",
  "lasterror",
  "logprobs",
  "metadata",
  "param",
  "promptfilterresults",
  "stats",
  "timings",
  "tokenusage",
  "usage",
  "warning",
  "warnings",
]);

/** Keys whose text, number or flag says nothing; an object or a list may. */
const LABEL_KEYS: ReadonlySet<string> = new Set([
  "code",
  "created",
  "createdat",
  "createdby",
  "duration",
  "errcode",
  "errmsg",
  "errorcode",
  "errormessage",
  "errormsg",
  "finishreason",
  "id",
  "index",
  "matchedstop",
  "message",
  "model",
  "msg",
  "nativefinishreason",
  "object",
  "ok",
  "outputindex",
  "phase",
  "provider",
  "reason",
  "requestid",
  "ret",
  "role",
  "sequencenumber",
  "servicetier",
  "signature",
  "status",
  "statuscode",
  "statusmsg",
  "stopreason",
  "stopsequence",
  "success",
  "systemfingerprint",
  "timestamp",
  "title",
  "traceid",
  "type",
  "userid",
]);

const MAX_DEPTH = 16;
/** More than this many values of a frame and nothing else are taken for something. */
const MAX_VALUES = 1000;

/** `error_code`, `errorCode` and `Error-Code` are one name. */
export function plainKey(key: string): string {
  return key.toLowerCase().replaceAll(/[_-]/g, "");
}

/** Whether a value says something. Empty texts, lists, objects and `false` do not, nor do ids, types and counts of tokens. */
export function hasSubstance(value: unknown): boolean {
  return new SubstanceSearch().isFoundIn(value, 0);
}

class SubstanceSearch {
  #values = 0;

  isFoundIn(value: unknown, depth: number): boolean {
    if (typeof value === "string") return value.trim() !== "";
    if (typeof value === "number" || value === true) return true;
    if (typeof value !== "object" || value === null) return false;
    if (depth > MAX_DEPTH || ++this.#values > MAX_VALUES) return true;
    if (Array.isArray(value)) return value.some((item) => this.isFoundIn(item, depth + 1));
    return this.#isFoundInObject(asObject(value) ?? {}, depth);
  }

  #isFoundInObject(object: JsonObject, depth: number): boolean {
    for (const key of Object.keys(object)) {
      const name = plainKey(key);
      const value = object[key];
      if (FRAME_KEYS.has(name) || (LABEL_KEYS.has(name) && typeof value !== "object")) continue;
      if (this.isFoundIn(value, depth + 1)) return true;
    }
    return false;
  }
}
