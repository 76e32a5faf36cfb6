/**
 * The parts of a server that have the database open, besides the writing thread.
 *
 * Owns that all of them let go of it when the writing thread has to open it anew: SQLite shares what it knows of a
 * journal among the connections of a process, until the last of them is closed.
 */

import { systemClock } from "./clock.ts";

export interface DatabaseUser {
  /** Closes the database. Called once before each {@link attach}. */
  detach(): Promise<void> | void;
  /** The database may be opened again. */
  attach(): void;
}

export class DatabaseUsers {
  readonly #users: DatabaseUser[];
  #isDetached = false;

  constructor(users: readonly DatabaseUser[]) {
    this.#users = [...users];
  }

  add(user: DatabaseUser): void {
    this.#users.push(user);
    if (this.#isDetached) void user.detach();
  }

  /** It ends by itself. */
  remove(user: DatabaseUser): void {
    const place = this.#users.indexOf(user);
    if (place >= 0) this.#users.splice(place, 1);
  }

  /** Resolves when all have closed it. */
  async detach(): Promise<void> {
    this.#isDetached = true;
    await Promise.allSettled(this.#users.map(async (user) => await user.detach()));
  }

  /** The same, but waits no longer than this. */
  async detachWithin(limitMs: number): Promise<void> {
    const { promise: timeUp, resolve } = Promise.withResolvers<void>();
    const timer = systemClock.setTimer(resolve, limitMs);
    await Promise.race([this.detach(), timeUp]);
    systemClock.clearTimer(timer);
  }

  attach(): void {
    this.#isDetached = false;
    for (const user of this.#users) user.attach();
  }
}
