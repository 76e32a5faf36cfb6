/**
 * One cell of a CSV file (RFC 4180), safe to open in a spreadsheet. Pure.
 */

export type CsvValue = string | number | boolean | null;

/** Without it, spreadsheets read the local code page (RFC 3629 section 6). */
export const BYTE_ORDER_MARK = "\ufeff";

/**
 * Spreadsheets run cells that begin like formulas, East Asian ones also with full-width signs; an apostrophe makes them
 * text.
 * Source: https://owasp.org/www-community/attacks/CSV_Injection
 */
const FORMULA_SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20";

/** Of an unknown value: empty. */
export function csvCell(value: CsvValue): string {
  const text = value === null ? "" : String(value);
  const tamed = typeof value === "string" && isFormula(text) ? `'${text}` : text;
  return /[",\r\n]/.test(tamed) ? `"${tamed.split('"').join('""')}"` : tamed;
}

function isFormula(text: string): boolean {
  const first = text.trimStart()[0];
  return /^[\t\r\n]/.test(text) || (first !== undefined && FORMULA_SIGNS.includes(first));
}
