/**
 * Runs lists, searches and statistics in the reading thread, off the thread that relays requests.
 */
import { CallThread } from "../threads/call_thread.ts";
import type { RecordQueries } from "./messages.ts";

/** Its thread runs read/worker.ts. @throws StoreError all of its questions */
export class QueryThread extends CallThread<RecordQueries> {}
