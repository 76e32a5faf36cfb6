/**
 * No proxy: the cost of client and upstream alone.
 */
import type { Contender } from "./contender.ts";

export const direct: Contender = {
  name: "direct",
  note: "no proxy",
  start: ({ upstreamPort }) =>
    Promise.resolve({ name: "direct", port: upstreamPort, headers: {}, service: null }),
};
