/**
 * What a request's ledger is made of, and what comes out of it. Types only.
 */
import type { Prices } from "../../core/prices.ts";
import type { SecretMask } from "../../core/secret_set.ts";
import type { Attempt, CapturedReply, Outcome, RequestRecord, Upstream, Usage } from "../../core/types.ts";
import type { WrittenText } from "./reply_part.ts";
import type { RequestText } from "./request_text.ts";

/** How a request ended. */
export interface Ending {
  readonly outcome: Outcome;
  /** Status that the client got; 499 when it had left. */
  readonly status: number;
  /** null: no reply was relayed; `response` is then the text of our own error. */
  readonly captured: CapturedReply | null;
  readonly responseText?: string;
  /** For people; null when all went well. */
  readonly error: string | null;
}

/** Facts about the request that only the record needs. */
export interface RecordFacts {
  readonly requestText: RequestText;
  /** Masked credential. */
  readonly authorization: string | null;
  /** Keys of upstreams and tokens, which must not be stored anywhere; see `keptSecrets`. */
  readonly secrets: SecretMask;
  /** The client's own credentials that go to an upstream; keys among them are not stored either, see `OwnKeys`. */
  readonly credentials: readonly string[];
  readonly prices: Prices;
}

/** One attempt in the ledger. Several may be under way at once. */
export interface AttemptEntry {
  readonly upstream: Upstream;
  readonly startedAtMs: number;
  readonly startedMonoMs: number;
  /** HTTP status, once it has come. */
  status: number | null;
  /** It is sent with other headers or another body than the client's. */
  isChanged: boolean;
  /** null while it is under way. */
  ended: Attempt | null;
  /** Its reply is the client's: what that used is in the record. */
  isGiven: boolean;
  /** What its reply used, reported or estimated, unless the client got it; null: unknown. */
  usage: Usage | null;
  /** The model that its reply names. */
  responseModel: string | null;
}

/** What is to be written of a request under way, and what its row holds then. */
export interface Progress {
  readonly record: RequestRecord;
  readonly written: WrittenText;
}
