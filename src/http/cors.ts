/**
 * Cross-origin access: any page may call `/v1`, because the token is what protects it.
 *
 * https://fetch.spec.whatwg.org/#http-cors-protocol
 */
import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";

/** Answers preflights; allows whatever headers the page asks for (SDKs send their own). */
export function preflight(): MiddlewareHandler {
  return cors({
    origin: "*",
    allowMethods: ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"],
    maxAge: 86_400,
  });
}
