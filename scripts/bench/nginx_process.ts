/**
 * Starts an nginx with one worker and a configuration of ours, as upstream or as contender.
 */
import { BenchError, freePort, isListening, type Processes, type Service, untilReady } from "./processes.ts";

export interface NginxOptions {
  readonly name: string;
  readonly program: string;
  /** For its files. */
  readonly directory: string;
  readonly core: number | null;
  /** The inside of `http { … }`, given the port to listen on. */
  readonly http: (port: number) => string;
}

export async function startNginx(
  processes: Processes,
  { name, program, directory, core, http }: NginxOptions,
): Promise<{ readonly service: Service; readonly port: number }> {
  const port = freePort();
  const prefix = await Deno.makeTempDir({ dir: directory, prefix: `${name}-` });
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((part) => `  ${part}_temp_path ${prefix}/${part};`);
  await Deno.writeTextFile(
    `${prefix}/nginx.conf`,
    [
      // Started as root, its worker would run as a user who cannot write here.
      ...(Deno.uid() === 0 ? ["user root;"] : []),
      "daemon off;",
      "worker_processes 1;",
      "worker_rlimit_nofile 20000;",
      `pid ${prefix}/pid;`,
      "events { worker_connections 18000; }",
      "http {",
      "  access_log off;",
      ...temporary,
      http(port),
      "}",
    ].join("\n"),
  );
  const service = processes.start({
    name,
    command: program,
    args: ["-p", prefix, "-e", "stderr", "-c", `${prefix}/nginx.conf`],
    core,
  });
  await untilReady(service, async () => await isListening(port) || null);
  if (service.isOver) throw new BenchError(`${name} ended; it printed:\n${await service.output()}`);
  return { service, port };
}
