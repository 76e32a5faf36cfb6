/**
 * The messages between a {@link CallThread} and its thread.
 */

export type ToThread =
  | { readonly type: "open"; readonly path: string }
  | { readonly type: "call"; readonly call: number; readonly name: string; readonly argument: unknown }
  /** Close the database; the next call opens it again. */
  | { readonly type: "detach" };

export type FromThread =
  | { readonly type: "answer"; readonly call: number; readonly value: unknown }
  | { readonly type: "failed"; readonly call: number; readonly error: ThrownError }
  | { readonly type: "detached" };

/** What a call threw, as it can be sent. */
export interface ThrownError {
  /** null: an error without a type of its own. */
  readonly type: string | null;
  readonly code: string;
  readonly message: string;
  /** Further fields of its type. */
  readonly details: Readonly<Record<string, string | null>>;
}
