/**
 * Node's HTTP client as a reader of replies: asks a server for each path that a line of its input names, and prints how
 * it read the answer, a line of JSON for each.
 */
import { Buffer } from "node:buffer";
import http from "node:http";
import process from "node:process";
import { createInterface } from "node:readline";

function ask({ port, method, path }) {
  const tell = (result) => process.stdout.write(`${JSON.stringify({ path, ...result })}\n`);
  const options = { port, method, path, host: "127.0.0.1", agent: false, maxHeaderSize: 128 * 1024 };
  const request = http.request(options, (response) => {
    const pieces = [];
    response.on("data", (piece) => pieces.push(piece));
    response.on("error", () => {});
    response.on("close", () => {
      const body = Buffer.concat(pieces).toString("base64");
      tell({ status: response.statusCode, body, isWhole: response.complete });
    });
  });
  request.on("upgrade", (_response, socket) => {
    socket.destroy();
    tell({ error: "upgrade" });
  });
  let isRead = false;
  request.on("response", () => isRead = true);
  request.on("error", (error) => {
    if (!isRead) tell({ error: error.message });
  });
  request.end();
}

createInterface({ input: process.stdin }).on("line", (line) => ask(JSON.parse(line)));
