/** `scripts/deploy/nginx.conf` in front of two servers: one dies, and requests go on. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { eventually, Router } from "../support/router.ts";
import { freePort, give, PATHS, serverFolder, ServerProcess } from "../support/server_process.ts";
import { chatReply, FakeUpstream } from "../support/upstream.ts";

const isMissing = Deno.build.os !== "linux" ||
  (spawnSync("nginx", ["-v"], { env: PATHS }).status !== 0 && Deno.env.get("CI") !== "true");

const shipped = Deno.readTextFileSync(new URL("../../scripts/deploy/nginx.conf", import.meta.url));

/** With these addresses instead of those of containers, and its files in a folder. */
function adapted(folder: string, { port, servers }: { port: number; servers: readonly number[] }): string {
  const [first, second] = servers;
  return shipped.replaceAll("router-1:8888", `127.0.0.1:${first}`)
    .replaceAll("router-2:8888", `127.0.0.1:${second}`)
    .replace("listen 8080;", `listen 127.0.0.1:${port};`)
    .replace("worker_processes auto;", "worker_processes 1;")
    .replaceAll("/tmp/", `${folder}/`);
}

async function startNginx(folder: string, config: string): Promise<ServerProcess> {
  await Deno.writeTextFile(`${folder}/nginx.conf`, config);
  for (const name of ["nginx.conf", "log"]) {
    if (name === "log") await Deno.writeTextFile(`${folder}/log`, "");
    await give(`${folder}/${name}`);
  }
  const command = ["nginx", "-p", folder, "-e", "stderr", "-c", `${folder}/nginx.conf`, "-g", "daemon off;"];
  return await ServerProcess.start(command, { log: `${folder}/log`, stop: "TERM" });
}

async function isRefused(port: number): Promise<true | null> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return null;
  } catch {
    return true;
  }
}

Deno.test("nginx and two servers: one is told to stop, one is killed, and no request fails", {
  ignore: isMissing,
}, async () => {
  await using upstream = new FakeUpstream(chatReply("hello"));
  const folder = await serverFolder();
  const args = ["--trusted-proxy", "127.0.0.1"];
  const first = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }], args });
  const second = await Router.start({ directory: first.directory, args });
  const port = freePort();
  const nginx = await startNginx(folder, adapted(folder, { port, servers: [first.port, second.port] }));
  const statuses: number[] = [];
  const post = async () => {
    const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${first.token}`, "x-forwarded-for": "192.0.2.9" },
      body: JSON.stringify({ model: "test-model", messages: [] }),
    });
    await response.body?.cancel();
    return response.status;
  };
  try {
    await eventually(() => post().catch(() => null), "nginx");
    for (let n = 0; n < 20; n++) statuses.push(await post());
    const instances = () => first.query("SELECT DISTINCT instance FROM records").length;
    assert.equal(instances(), 2, "both have answered");
    const [row] = first.query("SELECT DISTINCT ip FROM records");
    assert.equal(row?.["ip"], "127.0.0.1", "what a client says of itself is not passed on");

    // What is under way at a server that is told to stop ends there, and nginx takes the other one for the rest.
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    upstream.script = async (request, wire) => {
      await released;
      await chatReply("late")(request, wire);
    };
    const received = upstream.requests.length;
    const late = Array.from({ length: 6 }, () => post());
    await upstream.received(received + 6);
    second.signal("SIGTERM");
    await eventually(() => second.text.includes("stopping") ? true : null, "the stop");
    await eventually(() => isRefused(second.port), "a closed port");
    upstream.script = chatReply("hello");
    for (let n = 0; n < 10; n++) statuses.push(await post());
    release();
    statuses.push(...await Promise.all(late));
    assert.equal(await second.exited(), 0);

    const again = ["--addr", `127.0.0.1:${second.port}`];
    const third = await Router.start({ directory: first.directory, args: [...args, ...again] });
    third.signal("SIGKILL");
    await third.exited();
    for (let n = 0; n < 10; n++) statuses.push(await post());
    const log = Deno.readTextFileSync(`${folder}/log`);
    assert.deepEqual(statuses.filter((status) => status !== 200), [], log);
    const metrics = await fetch(`http://127.0.0.1:${port}/v1/metrics`);
    assert.deepEqual([metrics.status, (await metrics.text()).includes("openai_api_route_")], [404, false]);
    const sent = statuses.length + 1;
    const records = await eventually(
      () => first.records().length >= sent ? first.records() : null,
      "records",
    );
    assert.deepEqual([records.length, new Set(records.map((record) => record["request_id"])).size], [
      sent,
      sent,
    ]);
  } finally {
    await nginx.stop();
    await first[Symbol.asyncDispose]();
    await Deno.remove(folder, { recursive: true });
  }
});
