/**
 * Node's HTTP server as a reader: each reply says, in `x-seen`, how its request was read. Prints its port.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import http from "node:http";
import process from "node:process";

const MAX_SHOWN_BYTES = 512;

function shown(bytes) {
  if (bytes.length <= MAX_SHOWN_BYTES) return bytes.toString("base64url");
  return `${bytes.length}-${createHash("sha256").update(bytes).digest("hex")}`;
}

const server = http.createServer({ maxHeaderSize: 128 * 1024 }, (request, response) => {
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => {
    const parts = [Buffer.from(request.method), Buffer.from(request.url, "latin1"), Buffer.concat(pieces)];
    response.setHeader("x-seen", parts.map(shown).join("."));
    response.end("ok");
  });
  request.on("error", () => {});
});
server.httpAllowHalfOpen = true;
server.on("clientError", (_error, socket) => socket.destroy());
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
