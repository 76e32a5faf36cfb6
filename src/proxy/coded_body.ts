/**
 * Decodes a request's body with content codings, so that what is decided by the body also holds for these.
 *
 * Owns how many are decoded at once, and what follows when one cannot be. The bytes that came are kept: they go on, unless
 * an alias applies.
 */
import { canDecode } from "../capture/decoders.ts";
import type { Clock } from "../core/clock.ts";
import {
  CONTENT_CODINGS,
  type ContentCoding,
  contentCodings,
  undecodedProblem,
} from "../core/content_coding.ts";
import type { JsonMembers } from "../core/json_members.ts";
import { DecodedBody } from "./decoded_body.ts";
import { type BodyLimits, type BodyRead, readBody, type Receiving } from "./request_body.ts";

/** A whole body that came with a label of content codings. */
export interface CodedBody {
  readonly type: "coded";
  /** As they came. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Decoded; null when they cannot be. */
  readonly plain: Uint8Array<ArrayBuffer> | null;
  /** Of the decoded bytes, or of those that came when they cannot be decoded. */
  readonly members: JsonMembers | null;
  /** Why an upstream may read something else; null when all read the same. */
  readonly problem: string | null;
}

/** A request's body, and what its head says about it. */
export interface CodedRequest {
  readonly read: BodyRead | Promise<BodyRead>;
  /** The value of `content-encoding`. */
  readonly label: string;
  readonly contentType: string | null;
  /** The request's account, also of what came, and a new scanner; called when something is decoded. */
  readonly receive: () => Receiving;
  readonly isStrict: boolean;
}

/**
 * Bodies decoded at once. Decoders take up to 16 MiB for what they look back at, which no budget counts.
 */
const MAX_DECODED_AT_ONCE = 8; // docs/tuning.md#request-bodies

export class BodyDecoder {
  readonly #limits: BodyLimits;
  readonly #clock: Clock;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(limits: BodyLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /**
   * The body as it came when no coding is applied to it, or it was cut.
   * @throws RouterError 413 when it is too large after decoding, 429 when there is no memory for it; as reading it does
   */
  async decode(request: CodedRequest): Promise<BodyRead | CodedBody> {
    const read = await request.read;
    if (read.type === "cut" || read.bytes === null) return read;
    const { bytes, members } = read;
    const codings = contentCodings(request.label);
    if (codings?.length === 0) return read;
    const problem = codings === null ? unknownProblem(request.label) : missingProblem(codings);
    if (codings === null || problem !== null) return { type: "coded", bytes, plain: null, members, problem };
    await this.#begin();
    try {
      return await this.#decoded(bytes, codings, request) ??
        {
          type: "coded",
          bytes,
          plain: null,
          members,
          problem: `it does not decode as ${codings.join(", ")}`,
        };
    } finally {
      this.#end();
    }
  }

  /** Null when it does not decode. */
  async #decoded(
    bytes: Uint8Array<ArrayBuffer>,
    codings: readonly ContentCoding[],
    { receive, isStrict, contentType }: CodedRequest,
  ): Promise<CodedBody | null> {
    let layer: BodyRead = { type: "body", bytes, members: null };
    for (const coding of codings.toReversed()) {
      const body: DecodedBody = new DecodedBody(layer.bytes ?? NOTHING, coding, this.#clock);
      try {
        layer = await readBody(body, {
          limits: { ...this.#limits, isDecoded: true },
          clock: this.#clock,
          receive: () => keepingAccount(receive()),
        });
      } finally {
        body.cancel();
      }
      if (layer.type === "cut") return null;
    }
    const problem = isStrict ? undecodedProblem(bytes, contentType) : null;
    return { type: "coded", bytes, plain: layer.bytes ?? NOTHING, members: layer.members, problem };
  }

  async #begin(): Promise<void> {
    if (this.#running < MAX_DECODED_AT_ONCE) this.#running++;
    // Whoever ends passes its place on.
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #end(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running--;
    else next();
  }
}

/** The request releases its account itself: the bytes that came may be sent on. */
function keepingAccount({ account, pieces }: Receiving): Receiving {
  return { account: { take: (bytes) => account.take(bytes), release: () => {} }, pieces };
}

const NOTHING = new Uint8Array(0);

function unknownProblem(label: string): string {
  return `its content-encoding (${label.slice(0, 32)}) is not one of ${
    CONTENT_CODINGS.join(", ")
  }, or too many of them`;
}

/** Null when this runtime knows them all. */
function missingProblem(codings: readonly ContentCoding[]): string | null {
  const missing = codings.find((coding) => !canDecode(coding));
  return missing === undefined
    ? null
    : `the runtime of this router, Deno ${Deno.version.deno}, cannot decode ${missing}`;
}
