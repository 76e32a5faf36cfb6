/**
 * How clients are set up to use this router, as texts to copy. Pure.
 */

export interface ClientSetup {
  readonly name: string;
  readonly text: string;
}

const MODEL = "gpt-4o-mini";

/**
 * @param origin scheme, host and port of the router
 * @param token the client's, or a word that stands for it
 */
export function clientSetups(origin: string, token: string): ClientSetup[] {
  const baseUrl = `${origin}/v1`;
  return [
    {
      name: "curl",
      text: lines([
        `curl ${baseUrl}/chat/completions \\`,
        `  -H "Authorization: Bearer ${token}" \\`,
        `  -H "Content-Type: application/json" \\`,
        `  --data-raw '{"model":"${MODEL}","messages":[{"role":"user","content":"Say hello"}]}'`,
      ]),
    },
    {
      name: "Python",
      text: lines([
        "from openai import OpenAI",
        "",
        `client = OpenAI(base_url="${baseUrl}", api_key="${token}")`,
        "reply = client.chat.completions.create(",
        `    model="${MODEL}", messages=[{"role": "user", "content": "Say hello"}]`,
        ")",
        "print(reply.choices[0].message.content)",
      ]),
    },
    {
      // Claude Code appends /v1/messages itself.
      name: "Claude Code",
      text: lines([
        `export ANTHROPIC_BASE_URL=${origin}`,
        `export ANTHROPIC_AUTH_TOKEN=${token}`,
        "claude",
      ]),
    },
    {
      name: "Codex",
      text: lines([
        "# ~/.codex/config.toml",
        'model_provider = "router"',
        "",
        "[model_providers.router]",
        'name = "router"',
        `base_url = "${baseUrl}"`,
        'env_key = "ROUTER_TOKEN"',
        'wire_api = "responses"',
        "",
        "# in the shell",
        `# export ROUTER_TOKEN=${token}`,
      ]),
    },
  ];
}

function lines(texts: readonly string[]): string {
  return texts.join("\n");
}
