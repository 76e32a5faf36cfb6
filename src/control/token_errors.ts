/**
 * Why a token of a client is refused, for tokens of the list and for those that are rows. No text holds a token.
 */
import { ControlError, invalidValue } from "./errors.ts";

export function nameIsToken(): ControlError {
  return invalidValue("name", "must not be a token itself: records and logs show names");
}

export function tokenIsName(): ControlError {
  return new ControlError("invalid", "a token must not be a name, which records and logs show", {
    field: "value",
    hint: "choose another",
  });
}

export function opensAdminPage(): ControlError {
  return new ControlError("conflict", "this token opens the admin page, and clients must not have it", {
    field: "value",
    hint: "choose another",
  });
}

export function onlyToken(name: string): ControlError {
  return new ControlError(
    "conflict",
    `token ${name} is the only token, and without one the server refuses to start`,
    { field: "token", hint: "make another first" },
  );
}
