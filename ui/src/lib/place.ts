// Where in the query an error is: from the server's place (`line 1, column 7`, `7..12`) or the position in its message.
// Pure.

export function errorSpan(source: string, error: { place?: string | undefined; message: string }): { from: number; to: number } | undefined {
  const said = error.place ?? error.message
  const bytes = /(\d+)\s*(?:\.\.|-|to)\s*(\d+)/.exec(error.place ?? '')
  if (bytes) return widen(source, Number(bytes[1]), Number(bytes[2]))
  const lined = /line (\d+),? column (\d+)/i.exec(said) ?? /\b(\d+):(\d+)\b/.exec(said)
  if (lined) {
    const lines = source.split('\n')
    const before = lines.slice(0, Number(lined[1]) - 1).reduce((sum, line) => sum + line.length + 1, 0)
    return widen(source, before + Number(lined[2]) - 1, undefined)
  }
  const column = /(?:column|char(?:acter)?|at|position)\s+(\d+)/i.exec(said)
  return column ? widen(source, Number(column[1]) - 1, undefined) : undefined
}

/** What the server says without the words that every such answer begins with, and without the place, which is underlined. */
export const errorSaid = (message: string): string => message.replace(/^invalid parameter "query": /, '').replace(/^\d+:\d+: /, '')

/** At least one letter, at most the word that begins there. */
function widen(source: string, from: number, to: number | undefined): { from: number; to: number } {
  const start = Math.max(0, Math.min(from, Math.max(0, source.length - 1)))
  if (to !== undefined && to > start) return { from: start, to: Math.min(to, source.length) }
  const word = /^[\w:]+/.exec(source.slice(start))?.[0].length ?? 1
  return { from: start, to: Math.min(source.length, start + Math.max(1, word)) }
}
