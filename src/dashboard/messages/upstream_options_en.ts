/**
 * The English texts about the options of an upstream: limits, and how its requests are changed, chosen and sent.
 */
export const upstreamOptionTexts = {
  optionFields: "Limits, changes to requests, proxy",
  fieldMaxParallel: "Requests at once",
  fieldMaxParallelHint: "For each key: a number, or auto for as many as it takes. Empty: no limit.",
  fieldRpm: "Requests per minute",
  fieldTpm: "Tokens per minute",
  fieldRateHint: "For each key. Empty: no limit.",
  fieldKeyPolicy: "Several keys",
  keyPolicyRoundRobin: "in turn",
  keyPolicyFill: "the first that has room",
  fieldSetHeaders: "Headers",
  fieldSetHeadersHint:
    "One “Name: value” a line; “-Name” leaves the client's header out. Masked values (…) stay as they are.",
  fieldBodyPatch: "Body patch",
  fieldBodyPatchHint: 'Merge patch (RFC 7396) of JSON bodies, such as {"store":false,"seed":null}.',
  fieldOnlyPaths: "Only for paths",
  fieldOnlyPathsHint: "Patterns separated by commas, such as /v1/chat/*, /v1/embeddings. Empty: every path.",
  fieldMaxBody: "Largest body",
  fieldMaxBodyHint: "Such as 10MB. Larger requests go to other upstreams. Empty: any size.",
  fieldStreamTimeout: "Time limit of streams (s)",
  fieldStreamTimeoutHint: "From the request to the first content. Empty: by the request.",
  fieldErrorTexts: "Error texts",
  fieldErrorTextsHint:
    "One a line, such as quota exceeded: a reply that begins with such a text is an error.",
  fieldProxy: "Proxy",
  fieldProxyHint: "Such as http://user:password@proxy:3128 or socks5://127.0.0.1:1080.",
  inFlightIs: (count: number, limit: number | null) =>
    limit === null ? `${count} under way` : `${count} of ${limit} under way`,
  maxParallelIs: (count: number | "auto") => count === "auto" ? "auto parallel" : `max ${count} parallel`,
  rpmIs: (count: number) => `${count}/min`,
  tpmIs: (count: number) => `${count} tokens/min`,
  changesRequests: "changes requests",
  onlyPathsIs: (paths: string) => `only ${paths}`,
  maxBodyIs: (size: string) => `bodies up to ${size}`,
  streamTimeoutIs: (seconds: number) => `streams within ${seconds} s`,
  errorTextsAre: (count: number) => count === 1 ? "1 error text" : `${count} error texts`,
  proxyIs: (proxy: string) => `by ${proxy}`,
  attemptChanged: "request changed",
};
