/// <reference lib="deno.worker" />
/**
 * Signals when a request is due: a sleeping thread is more precise than the event loop's timers (1 ms).
 */
import { nowUs } from "../paced_events.ts";

export interface Pace {
  readonly ratePerS: number;
  readonly count: number;
}

const LEAD_US = 200_000;

self.onmessage = ({ data }: MessageEvent<Pace>) => {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  const startUs = nowUs() + LEAD_US;
  for (let index = 0; index < data.count; index++) {
    const dueUs = startUs + index * 1e6 / data.ratePerS;
    for (let waitUs = dueUs - nowUs(); waitUs > 0; waitUs = dueUs - nowUs()) {
      Atomics.wait(cell, 0, 0, waitUs / 1_000);
    }
    self.postMessage(dueUs);
  }
  self.close();
};
