/**
 * nginx as a bare reverse proxy that records nothing.
 */
import { startNginx } from "../nginx_process.ts";
import type { Contender } from "./contender.ts";

export function nginxContender(program: string, version: string): Contender {
  return {
    name: "nginx",
    note:
      `nginx ${version}: proxy_pass, HTTP/1.1 to a keep-alive pool, proxy_buffering off, 1 worker, no access log`,
    async start({ processes, directory, upstreamPort, core }) {
      const { service, port } = await startNginx(processes, {
        name: "nginx",
        program,
        directory,
        core,
        http: (port) => `
  keepalive_requests 1000000000;
  client_max_body_size 0;
  upstream api {
    server 127.0.0.1:${upstreamPort};
    keepalive 4096;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://api;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_request_buffering off;
    }
  }`,
      });
      return { name: "nginx", port, headers: {}, service };
    },
  };
}
