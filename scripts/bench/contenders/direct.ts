/**
 * No proxy at all: what client and upstream cost by themselves.
 */
import type { Contender } from "./contender.ts";

export const direct: Contender = {
  name: "direct",
  note: "no proxy",
  start: ({ upstreamPort }) =>
    Promise.resolve({ name: "direct", port: upstreamPort, headers: {}, service: null }),
};
