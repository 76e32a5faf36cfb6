/**
 * Lists of models on their way into the database, where the next start and other processes find them.
 *
 * Owns what of them is written: names always, objects as long as they do not fill the database. The database thread may
 * miss a note while the database is in trouble; the next change of the list writes it.
 */
import type { ListedUpstream } from "../../core/model_catalog.ts";
import type { WorkerLink } from "./worker_link.ts";

/** The objects of all lists, in characters. */
const MAX_STORED_LENGTH = 32 * 1024 * 1024;

/** Where else the notes go. */
export type ModelListListener = (asked: ListedUpstream | null, upstreamId: number) => void;

export class ModelListNotes {
  readonly #link: Pick<WorkerLink, "sendIfRunning">;
  readonly #onNote: ModelListListener;
  /** What was noted since this server started; null: what is stored is to be deleted. */
  readonly #notes = new Map<number, ListedUpstream | null>();
  readonly #lengths = new Map<number, number>();

  /** @param onNote told of each note, as it is written */
  constructor(link: Pick<WorkerLink, "listen" | "sendIfRunning">, onNote: ModelListListener = () => {}) {
    this.#link = link;
    this.#onNote = onNote;
    link.listen(({ type }) => {
      if (type !== "opened") return;
      for (const [id, asked] of this.#notes) this.#send(id, asked);
    });
  }

  /** Replaces what was noted of the same upstream. */
  note(asked: ListedUpstream): void {
    this.#put(asked.upstreamId, this.#bounded(asked));
  }

  /** The upstream is gone, or has another endpoint or key. */
  forget(upstreamId: number): void {
    this.#lengths.delete(upstreamId);
    this.#put(upstreamId, null);
  }

  /** What was stored before this server started. */
  stored({ upstreamId, list }: ListedUpstream): void {
    this.#lengths.set(upstreamId, lengthOf(list));
  }

  #put(upstreamId: number, asked: ListedUpstream | null): void {
    this.#notes.set(upstreamId, asked);
    this.#onNote(asked, upstreamId);
    this.#send(upstreamId, asked);
  }

  #send(upstreamId: number, asked: ListedUpstream | null): void {
    this.#link.sendIfRunning({ type: "model_list", upstreamId, asked });
  }

  #bounded(asked: ListedUpstream): ListedUpstream {
    const { upstreamId, list } = asked;
    this.#lengths.delete(upstreamId);
    const length = lengthOf(list);
    const others = this.#lengths.values().reduce((sum, each) => sum + each, 0);
    const isTooMuch = others + length > MAX_STORED_LENGTH;
    this.#lengths.set(upstreamId, isTooMuch ? 0 : length);
    if (list === null || !isTooMuch) return asked;
    return { ...asked, list: { ...list, models: list.models.map(({ id }) => ({ id, raw: null })) } };
  }
}

function lengthOf(list: ListedUpstream["list"]): number {
  return list?.models.reduce((sum, { raw }) => sum + (raw?.length ?? 0), 0) ?? 0;
}
