/**
 * A client of large bodies as a process of its own: several connections, each of which sends the next request
 * after an answer.
 *
 * Its one argument is the JSON of a `BigOrder`; it prints the JSON of a `BigFindings`.
 */
import { chatRequest } from "../http1.ts";
import { quantile } from "../measure/statistics.ts";
import { replyBody, requestBody } from "../payloads.ts";
import { KeepAlive } from "./keep_alive.ts";

export interface BigOrder {
  readonly port: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly requestBytes: number;
  readonly replyBytes: number;
  readonly connections: number;
  readonly seconds: number;
}

export interface BigFindings {
  readonly answered: number;
  readonly failures: readonly string[];
  readonly seconds: number;
  readonly bytes: number;
  readonly p50Us: number;
  readonly maxUs: number;
}

async function run(order: BigOrder): Promise<BigFindings> {
  const request = chatRequest({ ...order, body: requestBody({ bytes: order.requestBytes }) });
  const expected = new TextEncoder().encode(replyBody(order.replyBytes));
  const timesUs: number[] = [];
  const failures: string[] = [];
  const startMs = performance.now();
  const endMs = startMs + order.seconds * 1_000;
  const connections = await Promise.all(
    Array.from({ length: order.connections }, () => KeepAlive.open(order.port, expected)),
  );
  await Promise.all(connections.map(async (connection) => {
    try {
      do {
        const askedMs = performance.now();
        await connection.ask(request);
        timesUs.push((performance.now() - askedMs) * 1_000);
      } while (performance.now() < endMs);
    } catch (error) {
      failures.push(String(error));
    } finally {
      connection.close();
    }
  }));
  const sorted = timesUs.toSorted((a, b) => a - b);
  return {
    answered: sorted.length,
    failures,
    seconds: (performance.now() - startMs) / 1_000,
    bytes: connections.reduce((sum, { bytes }) => sum + bytes, 0),
    p50Us: quantile(sorted, 0.5),
    maxUs: quantile(sorted, 1),
  };
}

if (import.meta.main) {
  const order: BigOrder = JSON.parse(Deno.args[0] ?? "");
  console.log(JSON.stringify(await run(order)));
}
