import assert from "node:assert/strict";
import { Cancellation } from "../../../src/core/cancellation.ts";
import { HeaderFields } from "../../../src/core/header_fields.ts";
import { FetchClient } from "../../../src/wire/fetch_client.ts";
import { isConnectionEnd } from "../../../src/wire/connection_end.ts";
import { ReplyError } from "../../../src/wire/framing.ts";
import { FakeUpstream } from "../../support/upstream.ts";

interface Reply {
  readonly status?: number;
  readonly method?: string;
  readonly headers: [string, string][];
}

/** The length that the client tells of a reply with these headers. */
async function lengthOf({ status = 200, method = "GET", headers }: Reply): Promise<number | null> {
  const hasBody = method !== "HEAD" && status !== 204 && status !== 304;
  const client = new FetchClient(() =>
    Promise.resolve(new Response(hasBody ? new Blob(["hello"]).stream() : null, { status, headers }))
  );
  const reply = await client.send({
    url: "http://upstream.test/",
    method,
    headers: new HeaderFields(),
    body: null,
    cancellation: new Cancellation(),
  });
  reply.body.cancel();
  return reply.contentLength;
}

const length = (value: string): [string, string] => ["content-length", value];

Deno.test("over fetch, a reply has the length that holds of what fetch hands over", async () => {
  const table: [reply: Reply, expected: number | null][] = [
    [{ headers: [length("5")] }, 5],
    [{ headers: [length("5"), length("5")] }, 5],
    [{ headers: [] }, null],
    [{ headers: [length("2"), ["transfer-encoding", "chunked"]] }, null],
    [{ headers: [length("2"), ["content-encoding", "gzip"]] }, null],
    [{ headers: [length("7"), ["content-encoding", "gzip"]], method: "HEAD" }, 7],
    [{ headers: [length("7")], status: 304 }, 7],
    [{ headers: [length("7")], status: 204 }, null],
  ];
  for (const [reply, expected] of table) assert.equal(await lengthOf(reply), expected, JSON.stringify(reply));
});

Deno.test("over fetch, too, a malformed length or an unknown transfer coding is a reply that cannot be used", async () => {
  for (const value of ["gzip, chunked", "chunked;x=1", "identity, chunked", ""]) {
    const headers: [string, string][] = [["transfer-encoding", value]];
    await assert.rejects(lengthOf({ headers }), ReplyError, value);
  }
  for (const value of ["61,62", "abc", "-1", "+5", "", "5,", "0x5"]) {
    for (const method of ["GET", "HEAD"]) {
      await assert.rejects(lengthOf({ headers: [length(value)], method }), ReplyError, `${method} ${value}`);
    }
  }
});

Deno.test("over fetch, too, a head that cannot be read is a reply that cannot be used", async () => {
  const heads: [text: string, isReply: boolean][] = [
    ["SSH-2.0-OpenSSH_9.2\r\n\r\n", true],
    ["HTTP/1.1 abc OK\r\n\r\n", true],
    ["HTTP/1.1 200 OK\r\nx y: z\r\n\r\n", true],
    [`HTTP/1.1 200 OK\r\n${"a: b\r\n".repeat(300)}\r\n`, true],
    ["HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", true],
    ["", false],
  ];
  for (const [text, isReply] of heads) {
    await using upstream = new FakeUpstream(async (_request, wire) => {
      await wire.write(text);
      wire.close();
    });
    const sent = new FetchClient(fetch).send({
      url: `${upstream.endpoint}/x`,
      method: "GET",
      headers: new HeaderFields(),
      body: null,
      cancellation: new Cancellation(),
    });
    await assert.rejects(sent, (error) => error instanceof ReplyError === isReply, text.slice(0, 40));
  }
});

Deno.test("over fetch, too, a connection that stood and ended is told from one that could not be made", async () => {
  const upstream = new FakeUpstream((_request, wire) => wire.close());
  const send = () =>
    new FetchClient(fetch).send({
      url: `${upstream.endpoint}/x`,
      method: "POST",
      headers: new HeaderFields(),
      body: new Uint8Array(3),
      cancellation: new Cancellation(),
    });
  await assert.rejects(send(), isConnectionEnd);
  await upstream[Symbol.asyncDispose]();
  await assert.rejects(send(), (error) => !isConnectionEnd(error));
});
