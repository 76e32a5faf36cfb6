/**
 * A reply whose head goes out before the choice of upstream is final (DESIGN section 5: a stream that has sent nothing
 * but neutral bytes for `--gate-ms`).
 *
 * Sends what may go out while the rest of the failover loop runs, then hands over to the relay.
 */
import { RouterError } from "../core/errors.ts";
import type { EarlyStep, FinalChoice } from "./failover.ts";
import type { ReplyWriter } from "./relay.ts";

export interface EarlyHooks {
  readonly client: ReplyWriter;
  /** The choice is final, or the loop has ended. */
  onDecided(): void;
  /** Relays the rest of the reply. */
  relay(choice: Extract<FinalChoice, { type: "open" }>): Promise<void>;
  /** Settles the failure. */
  onFailed(error: RouterError): Promise<void>;
  /** Makes the loop stop because the client left. */
  cancel(): void;
  /** Settles a request whose client has left. */
  onClientGone(): Promise<void>;
}

/** Runs to the end of the reply. Never rejects. */
export async function relayEarly(
  first: Uint8Array,
  steps: AsyncGenerator<EarlyStep, FinalChoice>,
  hooks: EarlyHooks,
): Promise<void> {
  // Even with nothing behind it, the head goes out.
  await sendOrCancel(first, hooks);
  for (;;) {
    const step = await steps.next();
    if (step.done) return await decided(step.value, hooks);
    if (step.value.bytes.length > 0) await sendOrCancel(step.value.bytes, hooks);
  }
}

/** A client that takes no more has left: the loop then ends by itself. */
async function sendOrCancel(bytes: Uint8Array, hooks: EarlyHooks): Promise<void> {
  try {
    await hooks.client.write(bytes);
  } catch {
    hooks.cancel();
  }
}

async function decided(choice: FinalChoice, hooks: EarlyHooks): Promise<void> {
  hooks.onDecided();
  switch (choice.type) {
    case "open":
      return await hooks.relay(choice);
    case "client_gone":
      return await hooks.onClientGone();
    case "whole":
      return await fail(new RouterError(502, "upstream_invalid", "The reply is not a stream"), hooks);
    case "failed":
      return await fail(choice.error, hooks);
    default:
      return choice satisfies never;
  }
}

/** One error event, then an end without the terminator. */
async function fail(error: RouterError, hooks: EarlyHooks): Promise<void> {
  await hooks.onFailed(error);
  await sendOrCancel(new TextEncoder().encode(`data: ${JSON.stringify(error.toEnvelope())}\n\n`), hooks);
  hooks.client.cut();
}
