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

/** Requests that are being read or answered on each connection. */
const open = new WeakMap();

function answer(request, response) {
  const { socket } = request;
  open.get(socket)?.add(request);
  response.on("close", () => {
    open.get(socket)?.delete(request);
    if (socket.readableEnded) endIfDone(socket);
  });
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => {
    const parts = [Buffer.from(request.method), Buffer.from(request.url, "latin1"), Buffer.concat(pieces)];
    response.setHeader("x-seen", parts.map(shown).join("."));
    response.end("ok");
  });
  request.on("error", () => {});
}

/** After the client's end: what is not whole stays so, and what is gets its answer. */
function endIfDone(socket) {
  const requests = [...open.get(socket) ?? []];
  if (requests.every(({ complete }) => !complete)) socket.destroy();
}

const server = http.createServer({ maxHeaderSize: 128 * 1024 }, answer);
// An expectation that it does not know is for the router to refuse, or not.
server.on("checkExpectation", answer);
server.httpAllowHalfOpen = true;
server.on("connection", (socket) => {
  open.set(socket, new Set());
  socket.on("end", () => setImmediate(endIfDone, socket));
});
server.on("clientError", (_error, socket) => socket.destroy());
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
