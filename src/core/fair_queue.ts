/**
 * Who waits for what, and whose turn it is: first come, first served within a client, and the clients in turn.
 *
 * A waiter may wait for several things at once, and has a place in the lane of each. Adding and removing takes time in
 * proportion to its lanes, the next turn none, and finding the largest client in proportion to the clients. Pure: knows
 * neither time nor limits.
 */
import { LinkedList, type ListNode } from "./linked_list.ts";

/** One client's waiters in one lane, oldest first. */
interface Line<T> {
  readonly client: string;
  readonly waiters: LinkedList<FairPlace<T>>;
  /** Of the clients whose turn it will be. */
  node: ListNode<Line<T>> | null;
}

/** Those who wait for one thing. */
interface Lane<T> {
  readonly key: number;
  readonly byClient: Map<string, Line<T>>;
  /** Whose turn it is comes first. */
  readonly turns: LinkedList<Line<T>>;
}

interface Standing<T> {
  readonly lane: Lane<T>;
  readonly line: Line<T>;
  readonly node: ListNode<FairPlace<T>>;
}

/** A waiter's place; only the queue changes it. */
export interface FairPlace<T> {
  readonly waiter: T;
  readonly client: string;
  /** Among all of its client. */
  own: ListNode<FairPlace<T>> | null;
  /** In each lane where it still stands. */
  standings: Standing<T>[];
}

export class FairQueue<T> {
  readonly #lanes = new Map<number, Lane<T>>();
  /** Each client's, oldest first. */
  readonly #clients = new Map<string, LinkedList<FairPlace<T>>>();
  #size = 0;

  /** Waiters, each counted once. */
  get size(): number {
    return this.#size;
  }

  /** @param keys what it waits for, any of them; one or more, each once */
  add(
    waiter: T,
    { client, keys }: { readonly client: string; readonly keys: readonly number[] },
  ): FairPlace<T> {
    const place: FairPlace<T> = { waiter, client, own: null, standings: [] };
    place.own = this.#placesOf(client).add(place);
    for (const key of keys) {
      const lane = this.#laneOf(key);
      const line = lineOf(lane, client);
      place.standings.push({ lane, line, node: line.waiters.add(place) });
    }
    this.#size++;
    return place;
  }

  /** Whether anybody waits for this. */
  has(key: number): boolean {
    return this.#lanes.has(key);
  }

  /** How many clients wait for this. */
  clientCount(key: number): number {
    return this.#lanes.get(key)?.turns.size ?? 0;
  }

  /** Whose turn it is; null: nobody waits for this. */
  first(key: number): FairPlace<T> | null {
    return this.#lanes.get(key)?.turns.first?.value.waiters.first?.value ?? null;
  }

  /** Whose turn it is after this one, which is the first of its client; null: nobody else waits for this. */
  after({ standings }: FairPlace<T>, key: number): FairPlace<T> | null {
    const line = standings.find(({ lane }) => lane.key === key)?.line;
    return line?.node?.after?.value.waiters.first?.value ?? null;
  }

  /** The newest of the client that has the most, if that is two more than this client has; null: there is none. */
  newestOfLargest(client: string): FairPlace<T> | null {
    let largest = this.#clients.get(client) ?? null;
    const least = (largest?.size ?? 0) + 2;
    for (const each of this.#clients.values()) if (each.size > (largest?.size ?? 0)) largest = each;
    return largest !== null && largest.size >= least ? largest.last?.value ?? null : null;
  }

  /** It has got what it waited for: the next turn, of everything that it waited for, is another client's. */
  served(place: FairPlace<T>): void {
    for (const standing of place.standings) toTheEnd(standing);
    this.remove(place);
  }

  /** It waits no longer. A second call changes nothing. */
  remove(place: FairPlace<T>): void {
    if (place.standings.length === 0) return;
    for (const standing of place.standings) this.#step(standing);
    place.standings = [];
    this.#size--;
    const places = this.#placesOf(place.client);
    if (place.own !== null) places.remove(place.own);
    place.own = null;
    if (places.size === 0) this.#clients.delete(place.client);
  }

  /** It no longer waits for this, but keeps its other places; false: it had no other. */
  leave(place: FairPlace<T>, key: number): boolean {
    const left = place.standings.filter(({ lane }) => lane.key !== key);
    if (left.length === 0) {
      this.remove(place);
      return false;
    }
    for (const standing of place.standings) if (standing.lane.key === key) this.#step(standing);
    place.standings = left;
    return true;
  }

  #placesOf(client: string): LinkedList<FairPlace<T>> {
    let places = this.#clients.get(client);
    if (places === undefined) this.#clients.set(client, places = new LinkedList());
    return places;
  }

  #laneOf(key: number): Lane<T> {
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = { key, byClient: new Map(), turns: new LinkedList() };
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  /** Out of one lane; lines and lanes without anybody are forgotten. */
  #step({ lane, line, node }: Standing<T>): void {
    line.waiters.remove(node);
    if (line.waiters.size > 0) return;
    if (line.node !== null) lane.turns.remove(line.node);
    line.node = null;
    lane.byClient.delete(line.client);
    if (lane.turns.size === 0) this.#lanes.delete(lane.key);
  }
}

function lineOf<T>(lane: Lane<T>, client: string): Line<T> {
  let line = lane.byClient.get(client);
  if (line === undefined) {
    line = { client, waiters: new LinkedList(), node: null };
    line.node = lane.turns.add(line);
    lane.byClient.set(client, line);
  }
  return line;
}

function toTheEnd<T>({ lane, line }: Standing<T>): void {
  if (line.node === null) return;
  lane.turns.remove(line.node);
  line.node = lane.turns.add(line);
}
