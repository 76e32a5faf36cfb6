/**
 * Errors on their way from one thread to another, where their class would be lost.
 */
import { messageOf } from "../../core/errors.ts";
import { StoreError } from "../store.ts";
import type { ThrownError } from "./messages.ts";

/** Packs and unpacks the errors of some types; null: it is of another one. */
export interface ErrorCodec {
  pack(error: unknown): ThrownError | null;
  unpack(thrown: ThrownError): Error | null;
}

const STORE = "StoreError";

export const storeErrors: ErrorCodec = {
  pack: (error) =>
    error instanceof StoreError
      ? { type: STORE, code: error.code, message: error.message, details: {} }
      : null,
  unpack: ({ type, code, message }) =>
    type === STORE ? new StoreError(code as StoreError["code"], message) : null,
};

export function packError(error: unknown, codecs: readonly ErrorCodec[]): ThrownError {
  for (const codec of codecs) {
    const thrown = codec.pack(error);
    if (thrown !== null) return thrown;
  }
  return { type: null, code: "", message: messageOf(error), details: {} };
}

export function unpackError(thrown: ThrownError, codecs: readonly ErrorCodec[]): Error {
  for (const codec of codecs) {
    const error = codec.unpack(thrown);
    if (error !== null) return error;
  }
  return new Error(thrown.message);
}
