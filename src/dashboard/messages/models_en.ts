/**
 * The English texts about the models of upstreams.
 */
export const modelTexts = {
  modelsTitle: "Models",
  modelsIntro: "What the enabled upstreams list, as this server has learned it.",
  modelsSearch: "Search models",
  modelsSearchHint: "A part of a name",
  modelsUpstreams: "Upstreams that list it, in order",
  modelsNone: "No model.",
  modelsCount: (count: number, shown: string) => count === 1 ? "1 model" : `${shown} models`,
  modelsMore: (shown: string) => `The first ${shown} are shown.`,
} as const;
