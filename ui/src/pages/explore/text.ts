// Where text stands on the screen, and how it is changed so that the browser's undo knows it. The shown text lies under the typed one.
import { tokens, type Token } from '../../lib/promql'

export interface Spot { left: number; bottom: number }

/** Left and bottom of the letter at `place`, from the top left of the box. */
export function placeOf(shown: HTMLElement, place: number): Spot {
  const box = shown.getBoundingClientRect()
  const walker = document.createTreeWalker(shown, NodeFilter.SHOW_TEXT)
  let left = place
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const length = node.textContent?.length ?? 0
    if (left <= length) {
      const range = document.createRange()
      range.setStart(node, left)
      range.setEnd(node, Math.min(length, left + 1))
      const at = range.getClientRects()[0] ?? range.getBoundingClientRect()
      return { left: at.left - box.left, bottom: at.bottom - box.top }
    }
    left -= length
  }
  return { left: 0, bottom: box.height }
}

/** The token under a point of the screen; the shown text has one element for each. */
export function tokenUnder(shown: HTMLElement, source: string, x: number, y: number): (Token & Spot) | undefined {
  const box = shown.getBoundingClientRect()
  const all = tokens(source)
  for (const [index, token] of all.entries()) {
    for (const rect of shown.children[index]?.getClientRects() ?? []) {
      if (x >= rect.left && x < rect.right && y >= rect.top && y < rect.bottom) return { ...token, left: rect.left - box.left, bottom: rect.bottom - box.top }
    }
  }
  return undefined
}

/** Puts a text in the place of another, as if it had been typed. */
export function put(area: HTMLTextAreaElement, from: number, to: number, text: string, caret: number): void {
  area.focus()
  area.setSelectionRange(from, to)
  // The old command is the only one that the browser's undo takes notice of.
  if (!document.execCommand('insertText', false, text)) {
    area.setRangeText(text, from, to, 'end')
    area.dispatchEvent(new Event('input', { bubbles: true }))
  }
  area.setSelectionRange(caret, caret)
}
