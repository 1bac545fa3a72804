// Kinds of log lines: the same line with other numbers is the same kind. Pure.

/** A line without what differs from one to the next: numbers, ids, addresses, quoted values. */
export function kind(text: string): string {
  return text
    .slice(0, 400)
    .replace(/"[^"]*"/g, '"*"')
    .replace(/\b[0-9a-f]{8,}\b/gi, '*')
    .replace(/\d+([.:]\d+)*/g, '*')
    .replace(/\s+/g, ' ')
    .trim()
}

export interface Kinded { text: string; at: number; host: string }

/** Which lines are the first of their kind since `since`. Nothing is new when no line from before is known. */
export function fresh(lines: readonly Kinded[], since: number | undefined): ReadonlySet<number> {
  const found = new Set<number>()
  if (since === undefined) return found
  const seen = new Set<string>()
  for (const line of lines) if (line.at < since) seen.add(kind(line.text))
  if (seen.size === 0) return found
  lines.forEach((line, index) => {
    if (line.at < since) return
    const is = kind(line.text)
    if (seen.has(is)) return
    seen.add(is)
    found.add(index)
  })
  return found
}

/** How bad a line calls itself. */
export function lineTone(text: string): 'bad' | 'warn' | undefined {
  const level = /\b(FATAL|ERROR|CRITICAL|PANIC|WARN(?:ING)?)\b/i.exec(text.slice(0, 120))?.[1]?.toUpperCase()
  return level === undefined ? undefined : level.startsWith('WARN') ? 'warn' : 'bad'
}
