/**
 * Which parts of a session with PostgreSQL are in trouble.
 *
 * Owns that the whole is well again when, and only when, each of them is.
 */
import type { ShipperTrouble } from "./shipper/shipper.ts";

export type SessionPart = "start" | "configuration" | "chores" | "records";

export interface TroubleListener {
  /** With each report. */
  trouble(kind: ShipperTrouble, message: string): void;
  /** No part is in trouble any more. */
  resumed(): void;
}

export class Troubles {
  readonly #listener: TroubleListener;
  /** It has not started yet. */
  readonly #parts = new Set<SessionPart>(["start"]);

  constructor(listener: TroubleListener) {
    this.#listener = listener;
  }

  report(part: SessionPart, kind: ShipperTrouble, message: string): void {
    this.#parts.add(part);
    this.#listener.trouble(kind, message);
  }

  /** That part works. */
  well(part: SessionPart): void {
    if (this.#parts.delete(part) && this.#parts.size === 0) this.#listener.resumed();
  }
}
