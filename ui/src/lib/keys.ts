// Which key does what: `g` and a letter go to a page, single keys and Shift keys are verbs. Pure: knows no document.

export interface Stroke { key: string; shift: boolean; ctrl: boolean; meta: boolean; alt: boolean }

/** The name of a stroke: `g`, `?`, `Shift+h`, `Ctrl+k`, `Escape`. Ctrl stands for Cmd too. */
export function name(stroke: Stroke): string {
  const letter = stroke.key.length === 1 ? stroke.key.toLowerCase() : stroke.key
  const isLetter = /^[a-z]$/.test(letter)
  const parts = [stroke.ctrl || stroke.meta ? 'Ctrl' : '', stroke.alt ? 'Alt' : '', stroke.shift && (isLetter || stroke.key.length > 1) ? 'Shift' : '', letter]
  return parts.filter(Boolean).join('+')
}

/** Joins `g` with the letter that follows within a second; hands every other stroke through by its name. */
export class Chords {
  private since: number | undefined

  press(stroke: Stroke, now: number): string | undefined {
    const pressed = name(stroke)
    const waiting = this.since !== undefined && now - this.since < 1_500
    this.since = undefined
    if (waiting && /^[a-z]$/.test(pressed)) return `g ${pressed}`
    if (pressed === 'g') {
      this.since = now
      return undefined
    }
    return pressed
  }

  get waits(): boolean {
    return this.since !== undefined
  }
}
