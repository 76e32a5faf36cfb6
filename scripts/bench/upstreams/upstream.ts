/**
 * Starts simulated upstreams: nginx for fixed replies when it is installed; otherwise, and for streams, one
 * in Deno that writes prepared bytes to raw connections.
 */
import { replyBody } from "../payloads.ts";
import { isListening, type Processes, type Service, untilReady } from "../processes.ts";
import { startNginx } from "../nginx_process.ts";
import type { UpstreamMode } from "./upstream_server.ts";

const server = new URL("upstream_server.ts", import.meta.url).pathname;

export interface Upstream {
  readonly service: Service;
  readonly port: number;
  /** What it is, for the report. */
  readonly note: string;
}

export interface UpstreamPlace {
  readonly processes: Processes;
  readonly directory: string;
  readonly core: number | null;
  /** null: not installed. */
  readonly nginx: string | null;
}

/** One that answers everything with the same chat completion. */
export async function startPlainUpstream(place: UpstreamPlace, replyBytes: number): Promise<Upstream> {
  const { processes, directory, core, nginx } = place;
  if (nginx === null) return await startUpstream(place, { kind: "plain", replyBytes });
  const { service, port } = await startNginx(processes, {
    name: "upstream",
    program: nginx,
    directory,
    core,
    http: (port) => `
  keepalive_requests 1000000000;
  client_max_body_size 0;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    default_type application/json;
    location / { return 200 '${replyBody(replyBytes)}'; }
  }`,
  });
  return { service, port, note: "nginx, `return 200`" };
}

export async function startUpstream(
  { processes, core }: UpstreamPlace,
  mode: UpstreamMode,
): Promise<Upstream> {
  const service = processes.start({
    name: "upstream",
    command: Deno.execPath(),
    args: ["run", "-A", "--no-check", "--quiet", server, JSON.stringify(mode)],
    core,
  });
  const port = await untilReady(service, async () => {
    const port = Number(/^port (\d+)$/m.exec(await service.output())?.[1] ?? NaN);
    return await isListening(port) ? port : null;
  });
  return { service, port, note: "Deno, prepared bytes on raw connections" };
}
