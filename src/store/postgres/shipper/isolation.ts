/**
 * Sends a batch so that what cannot be stored does not hold up the rest.
 *
 * Owns the search for the culprits: a batch that is refused because of its values is halved until they are alone, which
 * takes about 2 log₂ n transactions for one of n.
 */
import { type RemoteFailure, RemoteTrouble } from "./remote.ts";

export interface Sent<Item> {
  /** Committed. */
  readonly done: readonly Item[];
  /** Those that can never be, with the error. */
  readonly refused: readonly { readonly item: Item; readonly error: unknown }[];
  /** Why it went no further: what is in neither list is still to be sent; null: everything is in one of them. */
  readonly failure: RemoteTrouble | null;
}

export interface SendOptions<Item> {
  /** Commits all of these, or none. */
  readonly put: (items: readonly Item[]) => Promise<void>;
  readonly failureOf: (error: unknown) => RemoteFailure;
}

/** Never rejects. */
export async function sendApart<Item>(
  items: readonly Item[],
  { put, failureOf }: SendOptions<Item>,
): Promise<Sent<Item>> {
  const done: Item[] = [];
  const refused: { item: Item; error: unknown }[] = [];
  const parts: (readonly Item[])[] = [items];
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    const [item] = part;
    if (item === undefined) continue;
    try {
      await put(part);
      done.push(...part);
    } catch (error) {
      const kind = failureOf(error);
      if (kind !== "poison") return { done, refused, failure: new RemoteTrouble(kind, error) };
      const middle = Math.ceil(part.length / 2);
      if (part.length === 1) refused.push({ item, error });
      else parts.push(part.slice(middle), part.slice(0, middle));
    }
  }
  return { done, refused, failure: null };
}
