// What a person has chosen for this browser: theme, language, zone, density, keys. Kept in local storage, nowhere else. Only the zone
// can be another one for a page: that of its address, so that a colleague sees the same times.
import { useSyncExternalStore } from 'react'
import type { Language } from '../lib/time'

export interface Settings {
  theme: 'auto' | 'light' | 'dark'
  language: Language
  /** An IANA zone. */
  zone: string
  dense: boolean
  /** Single letters as keys (WCAG 2.1.4 wants them to be switchable). */
  keys: boolean
}

const place = 'flyball'
export const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC'

function read(): Settings {
  let kept: Partial<Settings> = {}
  try {
    kept = (JSON.parse(localStorage.getItem(place) ?? '{}') as Partial<Settings> | null) ?? {}
  } catch {
    // Broken or forbidden storage: the defaults do.
  }
  return {
    theme: kept.theme === 'light' || kept.theme === 'dark' ? kept.theme : 'auto',
    language: kept.language === 'zh' || kept.language === 'en' ? kept.language : /^zh/i.test(navigator.language) ? 'zh' : 'en',
    zone: zoneOr(kept.zone, browserZone),
    dense: kept.dense === true,
    keys: kept.keys !== false,
  }
}

function zoneOr(zone: unknown, otherwise: string): string {
  if (typeof zone !== 'string') return otherwise
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
    return zone
  } catch {
    return otherwise
  }
}

let current = read()
let asked = zoneAsked(new URLSearchParams(location.search).get('tz'))
let shown = merged()

/** `UTC`, `browser`, or an IANA zone; undefined for anything else. */
function zoneAsked(text: string | null | undefined): string | undefined {
  if (!text) return undefined
  return text === 'browser' ? browserZone : zoneOr(text, '') || undefined
}

function merged(): Settings {
  return asked === undefined ? current : { ...current, zone: asked }
}

/** The zone that the address of this page asks for; undefined: the person's own. */
export function askZone(text: string | undefined): void {
  const next = zoneAsked(text)
  if (next === asked) return
  asked = next
  shown = merged()
  for (const listener of listeners) listener()
}

/** The person's own zone, whatever the address asks for. */
export const ownZone = (): string => current.zone

const listeners = new Set<() => void>()

export function scheme(settings: Settings = current): 'light' | 'dark' {
  if (settings.theme !== 'auto') return settings.theme
  return matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'
}

function apply(): void {
  const root = document.documentElement
  root.dataset.theme = scheme()
  root.dataset.dense = current.dense ? 'yes' : 'no'
  root.lang = current.language
}

export function change(part: Partial<Settings>): void {
  current = { ...current, ...part }
  shown = merged()
  try {
    localStorage.setItem(place, JSON.stringify(current))
  } catch {
    // The choice holds for this tab.
  }
  apply()
  for (const listener of listeners) listener()
}

const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  current = { ...current }
  shown = merged()
  apply()
  for (const listener of listeners) listener()
})
apply()

export const settings = (): Settings => shown
export const useSettings = (): Settings => useSyncExternalStore(subscribe, settings)
