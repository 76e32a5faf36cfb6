/**
 * What the running server is and keeps, and tests of its alert channels.
 */
import { VERSION } from "../config/version.ts";
import type { Settings } from "../config/settings.ts";
import type { OrderPolicy } from "../core/types.ts";
import type { ChannelTest, ServerStatus } from "./admin_service.ts";
import { ControlError } from "./errors.ts";
import { postgresStatus, type PostgresView } from "./postgres_status.ts";

/** An alert channel that can be tried. */
export interface TestableChannel {
  readonly name: string;
  /** Resolves when the message was taken; rejects with an error whose message is safe to show. */
  readonly test: () => Promise<void>;
}

export interface ServerStatusDeps {
  readonly settings: Pick<
    Settings,
    "database" | "policy" | "keepDays" | "keepBodiesDays" | "maxDbSizeBytes"
  >;
  /** Milliseconds since the Unix epoch. */
  readonly startedAtMs: number;
  readonly now: () => number;
  /** The file and its write-ahead log. @throws when it cannot be read */
  readonly databaseBytes: () => number;
  /** What the database says; null: nothing. */
  readonly storedPolicy: () => OrderPolicy | null;
  readonly channels: readonly TestableChannel[];
  /** null: there is none. */
  readonly postgres: PostgresView | null;
}

export class ServerStatusView {
  readonly #deps: ServerStatusDeps;

  constructor(deps: ServerStatusDeps) {
    this.#deps = deps;
  }

  async status(): Promise<ServerStatus> {
    const { settings, startedAtMs, now, storedPolicy, channels, postgres } = this.#deps;
    const { database, policy, keepDays, keepBodiesDays, maxDbSizeBytes } = settings;
    return {
      version: VERSION,
      startedAtMs,
      uptimeMs: Math.max(0, now() - startedAtMs),
      database: { path: database, bytes: this.#databaseBytes() },
      policy: policy ?? storedPolicy() ?? "order",
      isPolicyFixed: policy !== null,
      retention: { keepDays, keepBodiesDays, maxDatabaseBytes: maxDbSizeBytes },
      postgres: postgres === null ? null : await postgresStatus(postgres, now()),
      channels: channels.map(({ name }) => name),
    };
  }

  /** @throws ControlError `not_found` */
  async test(name: string): Promise<ChannelTest> {
    const channel = this.#deps.channels.find((each) => each.name === name);
    if (channel === undefined) {
      throw new ControlError("not_found", "no alert channel of that name is configured", {
        hint: "the status lists those that are",
      });
    }
    try {
      await channel.test();
      return { isOk: true, message: "It took the message" };
    } catch (error) {
      return { isOk: false, message: error instanceof Error ? error.message : "It cannot be reached" };
    }
  }

  #databaseBytes(): number | null {
    try {
      return this.#deps.databaseBytes();
    } catch {
      // The file has gone for the moment.
      return null;
    }
  }
}
