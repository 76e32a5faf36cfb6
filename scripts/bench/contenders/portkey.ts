/**
 * The best-known TypeScript gateway, on Node.
 */
import { installedPackage } from "../npm_cache.ts";
import { freePort, isListening, untilReady } from "../processes.ts";
import type { Contender } from "./contender.ts";

const PACKAGE = {
  name: "@portkey-ai/gateway",
  version: "1.15.2",
  // With newer ones it answers every stream with a 500: https://github.com/Portkey-AI/gateway/issues/1389
  overrides: { "@hono/node-server": "1.14.0" },
};

/** Installs it when it is missing. @throws {BenchError} when it cannot be installed */
export async function portkeyContender(node: string, npm: string): Promise<Contender> {
  const program = `${await installedPackage(npm, PACKAGE)}/build/start-server.js`;
  return {
    name: "portkey",
    note: `${PACKAGE.name} ${PACKAGE.version} on Node, --headless, NODE_ENV=production: records nothing`,
    async start({ processes, upstreamPort, core }) {
      const port = freePort();
      const service = processes.start({
        name: "portkey",
        command: node,
        args: [program, "--headless", `--port=${port}`],
        env: { NODE_ENV: "production" },
        core,
      });
      await untilReady(service, async () => await isListening(port) || null);
      const headers = {
        authorization: "Bearer sk-bench",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": `http://127.0.0.1:${upstreamPort}/v1`,
      };
      return { name: "portkey", port, headers, service };
    },
  };
}
