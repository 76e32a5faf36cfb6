/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * The thread in which the admin page's questions are answered, so that no search holds up a request.
 *
 * Owns the message loop. Never throws: whoever asked gets the error as a message.
 */
import { messageOf } from "../../core/errors.ts";
import type { FromReader, QueryName, ToReader } from "./messages.ts";
import { ReaderSession } from "./session.ts";
import { StoreError } from "../store.ts";

let path: string | null = null;
let session: ReaderSession | null = null;

/** Opens when needed, and again after the database could not be opened. */
function currentSession(): ReaderSession {
  if (path === null) throw new Error("a question came before the message that opens the database");
  if (session === null) session = new ReaderSession(path);
  else session.reopenIfReplaced();
  return session;
}

/** The sender's types pair each name with its argument (see query_thread.ts). */
function answer(name: QueryName, argument: unknown): unknown {
  const ask = currentSession()[name] as (argument: unknown) => unknown;
  return ask.call(session, argument);
}

self.onmessage = ({ data }: MessageEvent<ToReader>): void => {
  if (data.type === "open") {
    path = data.path;
    return;
  }
  const { call, name, argument } = data;
  let message: FromReader;
  try {
    message = { type: "answer", call, value: answer(name, argument) };
  } catch (error) {
    const code = error instanceof StoreError ? error.code : null;
    message = { type: "failed", call, code, message: messageOf(error) };
  }
  self.postMessage(message);
};
