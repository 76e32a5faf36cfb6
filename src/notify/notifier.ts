/**
 * What deserves an alert, and the interface through which the program raises one.
 */

/** Something a person should know. `key` folds repeats: one alert per key at once, then a digest. */
export type Alert =
  | {
    readonly type: "request_failed";
    readonly ip: string;
    readonly model: string | null;
    readonly status: number;
    readonly message: string;
    readonly requestId: string;
  }
  | { readonly type: "upstream_down"; readonly upstream: string; readonly reason: string }
  | { readonly type: "upstream_recovered"; readonly upstream: string }
  | { readonly type: "records_dropped"; readonly reason: string }
  | { readonly type: "records_resumed" };

/** Raises alerts; returns at once, never throws, never touches traffic. */
export interface Notifier {
  raise(alert: Alert): void;
  /** A request for this model has succeeded: its failures are a cause of their own from now on. Cheap. */
  served(model: string): void;
  /** Sends what is pending, waiting at most `limitMs`. */
  close(limitMs: number): Promise<void>;
}
