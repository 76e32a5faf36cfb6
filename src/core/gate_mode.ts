/**
 * How much of a stream is held back before the choice of upstream is final, and how a request asks for it.
 *
 * Pure. What holding means: proxy/assess/gate.ts.
 */
import { RouterError } from "./errors.ts";
import type { HeaderView } from "./header_fields.ts";

/**
 * `whole`: until the stream is complete, so that a client gets a whole answer or an error. `content`: until it shows
 * content. `none`: nothing is held.
 */
export const GATE_MODES = ["whole", "content", "none"] as const;
export type GateMode = typeof GATE_MODES[number];

/** The request header that overrides `--gate`; it is not sent on. */
export const GATE_HEADER = "x-oar-gate";

/** The mode that a request asks for; null when it asks for none; an error when there is no such mode. */
export function askedGate(headers: HeaderView): GateMode | RouterError | null {
  const asked = headers.get(GATE_HEADER);
  if (asked === null) return null;
  const word = asked.trim().toLowerCase();
  return GATE_MODES.find((mode) => mode === word) ??
    new RouterError(400, "invalid_request", `The header ${GATE_HEADER} must be whole, content or none`);
}
