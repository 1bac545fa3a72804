// Tables as text that a spreadsheet reads (RFC 4180). Pure.

type Cell = string | number | null | undefined

/** Rows with CRLF between them; a cell with a comma, a quote or a line break stands in quotes. */
export function csv(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return [head, ...rows].map((row) => row.map(cell).join(',')).join('\r\n') + '\r\n'
}

function cell(value: Cell): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'number') return String(value)
  // A spreadsheet must not take a value from outside for a formula; a signed number is no formula.
  const text = /^[=+\-@\t\r]/.test(value) && !/^[+-]?(\d|\.\d|Inf$|inf$)/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
