/**
 * One memory limit for all request bodies that are being received, or kept to be sent again.
 *
 * Each body has a limit of its own (`--max-body`); this one bounds many at once. Beyond its first body, a client may
 * not use more than half of it. Bodies that arrive with their head are not counted: they are small and short-lived.
 */
import { RouterError } from "../core/errors.ts";

/** Never refused: what one read returns is in memory anyway. */
const FREE_BYTES = 64 * 1024; // docs/tuning.md#budgets-and-remembered-values

export interface ReceivingAccount {
  /** @throws RouterError 413 when the body can never fit, 429 when it does not fit now */
  take(bytes: number): void;
  /** Returns everything that was taken. Idempotent. */
  release(): void;
}

interface Client {
  bytes: number;
  /** Its counted bodies, oldest first. */
  readonly bodies: Set<ReceivingAccount>;
}

export class ReceivingBudget {
  readonly #limitBytes: number;
  readonly #clients = new Map<string, Client>();
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** An account for one body of a client. */
  open(client: string): ReceivingAccount {
    let received = 0;
    let counted = 0;
    let isOver = false;
    const account: ReceivingAccount = {
      take: (bytes) => {
        received += bytes;
        if (received <= FREE_BYTES || isOver) return;
        const more = received - counted;
        if (received > this.#limitBytes) throw neverFits(this.#limitBytes);
        this.#count(client, account, more);
        counted = received;
      },
      release: () => {
        if (counted > 0) this.#forget(client, account, counted);
        counted = 0;
        isOver = true;
      },
    };
    return account;
  }

  /** @throws RouterError 429, and nothing is counted */
  #count(name: string, account: ReceivingAccount, bytes: number): void {
    const client = this.#clients.get(name) ?? { bytes: 0, bodies: new Set() };
    const [oldest = account] = client.bodies;
    const isUnfair = oldest !== account && client.bytes + bytes > this.#limitBytes / 2;
    if (isUnfair || this.#bytes + bytes > this.#limitBytes) throw doesNotFit(this.#limitBytes);
    this.#bytes += bytes;
    client.bytes += bytes;
    client.bodies.add(account);
    this.#clients.set(name, client);
  }

  #forget(name: string, account: ReceivingAccount, bytes: number): void {
    const client = this.#clients.get(name);
    if (client === undefined) return;
    this.#bytes -= bytes;
    client.bytes -= bytes;
    client.bodies.delete(account);
    if (client.bodies.size === 0) this.#clients.delete(name);
  }
}

function neverFits(limitBytes: number): RouterError {
  return new RouterError(
    413,
    "request_too_large",
    `The request body is larger than the memory for all request bodies, ${limitBytes} bytes; ` +
      "raise --max-receiving or send less",
  );
}

function doesNotFit(limitBytes: number): RouterError {
  return new RouterError(
    429,
    "too_many_requests",
    `The request bodies that are under way take all of their memory, ${limitBytes} bytes (--max-receiving); ` +
      "try again in a moment",
  );
}
