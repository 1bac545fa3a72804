// The one event stream of this tab. Knows whether what is shown is live; hands messages to whoever listens.
// Own reader instead of EventSource: the waits between tries are ours, and silence of 5 s counts as not live.
import { useSyncExternalStore } from 'react'
import { backoff, EventParser } from '../lib/sse'
import { base } from './http'

export type Link = {
  state: 'connecting' | 'live' | 'stale'
  /** When something last arrived (this browser's clock). */
  heard: number
  /** When the next try begins, while stale. */
  next: number | undefined
}

const silence = 5_000
let link: Link = { state: 'connecting', heard: Date.now(), next: undefined }
let lastId: string | undefined
let attempt = 0
let running = false
let wake: (() => void) | undefined
let cut: AbortController | undefined

const watchers = new Set<() => void>()
type Listener = (data: unknown) => void
const listeners = new Map<string, Set<Listener>>()

function set(next: Partial<Link>): void {
  const changed = (next.state !== undefined && next.state !== link.state) || ('next' in next && next.next !== link.next)
  link = { ...link, ...next }
  if (changed) for (const watcher of watchers) watcher()
}

/** Calls back for every message of the kind; returns how to stop. */
export function listen(kind: string, listener: Listener): () => void {
  const set = listeners.get(kind) ?? new Set<Listener>()
  listeners.set(kind, set)
  set.add(listener)
  return () => set.delete(listener)
}

export const currentLink = (): Link => link

export function useLink(): Link {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher)
      return () => watchers.delete(watcher)
    },
    currentLink,
  )
}

/** Tries again now instead of at the end of the wait. */
export function tryNow(): void {
  wake?.()
}

function heard(): void {
  attempt = 0
  set({ state: 'live', heard: Date.now(), next: undefined })
}

async function once(): Promise<void> {
  const control = new AbortController()
  cut = control
  const watch = setInterval(() => {
    if (Date.now() - link.heard < silence) return
    set({ state: 'stale' })
    // The line is open but nothing comes: after twice the silence it is taken as cut.
    if (Date.now() - link.heard > 2 * silence) control.abort()
  }, 500)
  try {
    const response = await fetch(`${base}/live`, {
      credentials: 'same-origin', signal: control.signal,
      headers: { accept: 'text/event-stream', ...(lastId === undefined ? {} : { 'last-event-id': lastId }) },
    })
    if (response.status === 401 && location.pathname !== '/login') {
      location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}&ended=1`)
      return
    }
    if (!response.ok || !response.body) throw new Error(`live: ${response.status}`)
    heard()
    const parser = new EventParser()
    const decoder = new TextDecoder()
    const reader = response.body.getReader()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      heard()
      for (const message of parser.feed(decoder.decode(value, { stream: true }))) {
        if (message.id !== undefined) lastId = message.id
        deliver(message.event, message.data)
      }
    }
  } finally {
    clearInterval(watch)
    cut = undefined
  }
}

function deliver(kind: string, text: string): void {
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch {
    return
  }
  for (const listener of listeners.get(kind) ?? []) listener(data)
}

async function run(): Promise<void> {
  while (running) {
    try {
      await once()
    } catch {
      // Told by the state below.
    }
    if (!running) return
    const wait = backoff(attempt, Math.random())
    attempt += 1
    const since = Date.now() - link.heard
    set({ next: Date.now() + wait, ...(since > silence ? { state: 'stale' as const } : {}) })
    const late = setTimeout(() => set({ state: 'stale' }), Math.max(0, silence - since))
    await new Promise<void>((go) => {
      const timer = setTimeout(go, wait)
      wake = () => {
        clearTimeout(timer)
        go()
      }
    })
    wake = undefined
    clearTimeout(late)
  }
}

/** Opens the stream; called once by the frame. */
export function start(): () => void {
  if (!running) {
    running = true
    void run()
  }
  return () => {
    running = false
    cut?.abort()
    wake?.()
  }
}
