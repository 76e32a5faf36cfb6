/** The token that every fresh database of the Go program accepted, and that its README published. */
export const PUBLISHED_TOKEN = "woshimima";
