// Keys of the whole page. A part says `useKey('Shift+h', halt)`; keys are off in text fields and while a sheet is open.
import { useEffect, useRef, useState } from 'react'
import { settings } from '../data/settings'
import { Chords } from '../lib/keys'

type Handler = (event: KeyboardEvent) => void
const handlers = new Map<string, Handler[]>()
const chords = new Chords()

/** Calls `handler` for the stroke; the part that came last wins. Names as lib/keys writes them: `g d`, `Shift+h`, `Ctrl+k`, `?`. */
export function useKey(stroke: string, handler: Handler, enabled = true): void {
  const latest = useRef(handler)
  latest.current = handler
  useEffect(() => {
    if (!enabled) return
    const call: Handler = (event) => latest.current(event)
    handlers.set(stroke, [...(handlers.get(stroke) ?? []), call])
    return () => {
      handlers.set(stroke, (handlers.get(stroke) ?? []).filter((known) => known !== call))
    }
  }, [stroke, enabled])
}

let pageKeys: readonly (readonly [string, string])[] = []

/** What the keys of this page do: the help lists them. */
export function usePageKeys(keys: readonly (readonly [string, string])[]): void {
  useEffect(() => {
    pageKeys = keys
    return () => { pageKeys = [] }
  })
}
export const keysOfPage = (): readonly (readonly [string, string])[] => pageKeys

export const typesText = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || target.matches('textarea, select, input:not([type=checkbox]):not([type=radio]):not([type=button])'))

/** Listens for the whole page; used once, by the frame. True while `g` waits for its letter. */
export function useKeyboard(): boolean {
  const [waits, setWaits] = useState(false)
  useEffect(() => {
    let hint: ReturnType<typeof setTimeout> | undefined
    const down = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.isComposing || event.repeat || event.key === 'Shift' || event.key === 'Control') return
      const withControl = event.ctrlKey || event.metaKey
      if (!withControl && (typesText(event.target) || !settings().keys || document.querySelector('[aria-modal="true"]'))) return
      clearTimeout(hint)
      setWaits(false)
      const stroke = chords.press({ key: event.key, shift: event.shiftKey, ctrl: event.ctrlKey, meta: event.metaKey, alt: event.altKey }, performance.now())
      if (stroke === undefined) {
        hint = setTimeout(() => setWaits(chords.waits), 400)
        setTimeout(() => setWaits(false), 1_900)
        return
      }
      const handler = handlers.get(stroke)?.at(-1)
      if (!handler) return
      event.preventDefault()
      handler(event)
    }
    addEventListener('keydown', down)
    return () => removeEventListener('keydown', down)
  }, [])
  return waits
}
