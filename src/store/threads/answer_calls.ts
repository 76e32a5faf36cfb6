/**
 * The inside of a thread that answers calls to the database.
 *
 * Owns the message loop. Never throws: whoever called gets the error as a message.
 */
import type { FromThread, ToThread } from "./messages.ts";
import { type ErrorCodec, packError } from "./thrown_errors.ts";

/** What answers, with the database open. */
export interface CallSession {
  /** Called before each call: when the file was replaced, opens the one that is at the path now. */
  reopenIfReplaced(): void;
  close(): void;
}

/** The part of a worker's `self` that is used. */
export interface ThreadScope {
  onmessage: ((event: MessageEvent<ToThread>) => void) | null;
  postMessage(message: FromThread): void;
}

/**
 * Answers from now on. The database is opened with the first call, and again after it could not be opened.
 *
 * @param call the sender's types pair each name with its argument (see call_thread.ts)
 */
export function answerCalls<Session extends CallSession>(
  scope: ThreadScope,
  { open, call, errors }: {
    readonly open: (path: string) => Session;
    readonly call: (session: Session, name: string, argument: unknown) => unknown;
    readonly errors: readonly ErrorCodec[];
  },
): void {
  let path = "";
  let session: Session | null = null;
  const answer = (name: string, argument: unknown): unknown => {
    if (session === null) session = open(path);
    else session.reopenIfReplaced();
    return call(session, name, argument);
  };
  scope.onmessage = ({ data }) => {
    if (data.type === "open") {
      path = data.path;
      return;
    }
    if (data.type === "detach") {
      session?.close();
      session = null;
      return scope.postMessage({ type: "detached" });
    }
    let message: FromThread;
    try {
      message = { type: "answer", call: data.call, value: answer(data.name, data.argument) };
    } catch (error) {
      message = { type: "failed", call: data.call, error: packError(error, errors) };
    }
    scope.postMessage(message);
  };
}
