/**
 * The grammar of JSON numbers as a state machine, one character at a time.
 *
 * Owns the states from 11 on; the scanner in json_members.ts keeps them in one variable with its own, smaller ones.
 * Pure.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8259#section-6
 */
const AFTER_MINUS = 11;
const AFTER_ZERO = 12;
const IN_INTEGER = 13;
const AFTER_POINT = 14;
const IN_FRACTION = 15;
const AFTER_EXPONENT = 16;
const AFTER_EXPONENT_SIGN = 17;
const IN_EXPONENT = 18;

const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const ZERO = 0x30;

/** The state after a number's first character; null when no number begins with it. */
export function numberStart(code: number): number | null {
  if (code === MINUS) return AFTER_MINUS;
  if (code === ZERO) return AFTER_ZERO;
  return isDigit(code) ? IN_INTEGER : null;
}

/** Whether a number may end in that state. */
export function isNumberEnd(state: number): boolean {
  return state === AFTER_ZERO || state === IN_INTEGER || state === IN_FRACTION || state === IN_EXPONENT;
}

/** The state after one more character of a number; null when the number does not go on with it. */
export function nextInNumber(state: number, code: number): number | null {
  const isDigitNow = isDigit(code);
  switch (state) {
    case AFTER_MINUS:
      if (code === ZERO) return AFTER_ZERO;
      return isDigitNow ? IN_INTEGER : null;
    case AFTER_ZERO:
    case IN_INTEGER:
      if (isDigitNow && state === IN_INTEGER) return IN_INTEGER;
      if (code === POINT) return AFTER_POINT;
      return isExponentMark(code) ? AFTER_EXPONENT : null;
    case AFTER_POINT:
      return isDigitNow ? IN_FRACTION : null;
    case IN_FRACTION:
      if (isDigitNow) return IN_FRACTION;
      return isExponentMark(code) ? AFTER_EXPONENT : null;
    case AFTER_EXPONENT:
      if (code === PLUS || code === MINUS) return AFTER_EXPONENT_SIGN;
      return isDigitNow ? IN_EXPONENT : null;
    default:
      return isDigitNow ? IN_EXPONENT : null;
  }
}

export function isDigit(code: number): boolean {
  return code >= ZERO && code <= 0x39;
}

function isExponentMark(code: number): boolean {
  return code === 0x65 || code === 0x45;
}
