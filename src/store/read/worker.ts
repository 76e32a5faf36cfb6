/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * The thread in which the admin page's questions are answered, so that no search holds up a request.
 */
import { answerCalls } from "../threads/answer_calls.ts";
import { storeErrors } from "../threads/thrown_errors.ts";
import type { QueryName } from "./messages.ts";
import { ReaderSession } from "./session.ts";

answerCalls(self, {
  open: (path) => new ReaderSession(path),
  call: (session, name, argument) =>
    (session[name as QueryName] as (argument: unknown) => unknown).call(session, argument),
  errors: [storeErrors],
});
