/**
 * The types of the package `pg` as far as it is used. Those of npm bring Node's own types along, which differ from Deno's
 * and would be checked against in the whole program.
 *
 * https://node-postgres.com/apis/client
 */
import type { Duplex } from "node:stream";
import type { ConnectionOptions } from "node:tls";

export interface ClientConfig {
  host: string;
  port: number;
  user: string;
  database: string;
  password: () => string;
  ssl: false | ConnectionOptions;
  application_name: string;
  keepAlive: boolean;
  keepAliveInitialDelayMillis: number;
  types: { getTypeParser(oid: number, format?: string): (text: string) => unknown };
}

export interface QueryResult {
  /** `SELECT`, `COMMIT`, … */
  command: string;
  rows: Record<string, unknown>[];
}

export interface Notification {
  channel: string;
  payload?: string;
}

export class Client {
  constructor(config: ClientConfig);
  readonly connection: {
    readonly stream: Duplex;
    /** Not documented: where it begins to read. */
    attachListeners(stream: Pick<Duplex, "on">): void;
  };
  connect(): Promise<unknown>;
  /** Of several statements (only without values), a result for each. */
  query(text: string, values?: readonly unknown[]): Promise<QueryResult | QueryResult[]>;
  end(): Promise<void>;
  on(event: "error", listener: (error: unknown) => void): this;
  on(event: "end", listener: () => void): this;
  on(event: "notification", listener: (notification: Notification) => void): this;
}

declare const pg: { readonly Client: typeof Client };
export default pg;
