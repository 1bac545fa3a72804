// Takes a server-sent event stream apart as its pieces arrive. Pure: bytes are decoded and fed by the caller.

export interface Message { event: string; data: string; id: string | undefined }

/** Feed it text as it comes; it hands out whole messages. Comments count as life, not as messages. */
export class EventParser {
  private rest = ''
  private event = ''
  private data: string[] = []
  private id: string | undefined
  private started = false

  feed(chunk: string): Message[] {
    let text = this.rest + chunk
    if (!this.started && text.length > 0) {
      if (text.charCodeAt(0) === 0xfeff) text = text.slice(1)
      this.started = true
    }
    const found: Message[] = []
    let start = 0
    for (;;) {
      let end = start
      while (end < text.length && text[end] !== '\n' && text[end] !== '\r') end += 1
      // A CR at the very end may be half of CRLF: wait for more.
      if (end >= text.length || (text[end] === '\r' && end + 1 >= text.length)) break
      const line = text.slice(start, end)
      start = text[end] === '\r' && text[end + 1] === '\n' ? end + 2 : end + 1
      const message = this.line(line)
      if (message) found.push(message)
    }
    this.rest = text.slice(start)
    return found
  }

  private line(line: string): Message | undefined {
    if (line === '') {
      const message = this.data.length > 0 ? { event: this.event || 'message', data: this.data.join('\n'), id: this.id } : undefined
      this.event = ''
      this.data = []
      return message
    }
    if (line.startsWith(':')) return undefined
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'event') this.event = value
    else if (field === 'data') this.data.push(value)
    else if (field === 'id' && !value.includes('\0')) this.id = value
    return undefined
  }
}

/** Wait before try number `attempt` (from 0): 0.5 s doubling to 10 s, plus up to a fifth by `chance` in 0..1. */
export function backoff(attempt: number, chance: number): number {
  return Math.min(10_000, 500 * 2 ** Math.min(attempt, 10)) * (1 + 0.2 * chance)
}
