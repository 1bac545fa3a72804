// Words, numbers and times in the reader's language and zone, as hooks.
import { useCallback, useMemo } from 'react'
import texts from '../data/texts.json'
import { useSettings } from '../data/settings'
import { measure, quantity, type Quantity, type Unit } from '../lib/number'
import { engineSentence } from '../lib/engine'
import type { Args } from '../lib/text'
import * as time from '../lib/time'
import { word, type WordId } from '../lib/words'

/** Reasons that the engine puts into other sentences as finished English. */
const reasons = Object.entries(texts).filter(([id]) => id.startsWith('because.')).map(([, entry]) => entry)
const catalogue = texts as Record<string, { en: string; zh: string } | undefined>

/** A message of the engine: an id and what fills its places. */
export interface EngineText { id: string; args?: Args | undefined }

/** The engine's sentence in `language`; an id that this page does not know shows itself with its arguments. */
export function sentence(text: EngineText, language: time.Language): string {
  if (text.id === 'plain') return String(text.args?.['text'] ?? '')
  const entry = catalogue[text.id]
  if (entry) return engineSentence(entry[language], text.args, language, reasons)
  const args = Object.entries(text.args ?? {}).map(([name, value]) => `${name}=${String(value)}`)
  return [text.id, ...args].join(' ')
}

/** `word('nav.overview')`, `word('brake.progress', {done: 2, total: 4})`. */
export function useWord(): (id: WordId, args?: Args) => string {
  const { language } = useSettings()
  return useCallback((id, args) => word(language, id, args), [language])
}

export interface Format {
  language: time.Language
  zone: string
  /** The engine's sentence. */
  text: (text: EngineText) => string
  /** `10:15:42` or `10:15:42.3`. */
  clock: (at: string | number, digits?: number) => string
  /** A time of a range: with its date where the range is on more than one day. */
  within: (at: string | number, range: { from: number; to: number }, digits?: number) => string
  /** As lists write it: today the clock, this week the day, else the date. */
  when: (at: string | number, digits?: number) => string
  /** `3.7 s` from milliseconds. */
  duration: (millis: number) => string
  /** `+0.7 s` from milliseconds. */
  offset: (millis: number) => string
  measure: (value: number | null | undefined, unit?: Unit) => string
  quantity: (value: number | null | undefined, unit?: Unit) => Quantity
}

export const millis = (at: string | number): number => (typeof at === 'number' ? at : time.parseTime(at))

export function useFormat(): Format {
  const { language, zone } = useSettings()
  return useMemo(
    () => ({
      language,
      zone,
      text: (text) => sentence(text, language),
      clock: (at, digits) => time.clock(millis(at), zone, digits),
      within: (at, range, digits) => (time.date(range.from, zone) === time.date(range.to, zone) ? '' : `${time.date(millis(at), zone)} `) + time.clock(millis(at), zone, digits),
      when: (at, digits) => time.when(millis(at), Date.now(), zone, language, digits),
      duration: (span) => time.duration(span, language),
      offset: (span) => time.offset(span, language),
      measure: (value, unit = 'none') => measure(value, unit, language),
      quantity: (value, unit = 'none') => quantity(value, unit, language),
    }),
    [language, zone],
  )
}
