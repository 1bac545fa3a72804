// The one event stream of this tab. Knows whether what is shown is live; hands messages to whoever listens.
// Own reader instead of EventSource: the waits between tries are ours, and silence of 5 s counts as not live.
import { useEffect, useState, useSyncExternalStore } from 'react'
import { backoff, EventParser } from '../lib/sse'
import type { LogLine } from './api'
import { base, query } from './http'

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
/** Query string of the stream: whose log is wanted beside the rest. */
let wanted = ''
let reopen = false
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
    const response = await fetch(`${base}/live${wanted}`, {
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
    if (reopen) {
      reopen = false
      continue
    }
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

/** Asks for the log of a service or an order on the one stream; undefined ends it. Opens the stream anew, nothing is lost. */
function want(of: LogsOf | undefined): void {
  const next = query(of ? { ...of } : undefined)
  if (next === wanted) return
  wanted = next
  if (!running) return
  reopen = true
  cut?.abort()
  wake?.()
}

export interface LogsOf { service?: string; host?: string; order?: string }

/** Lines of a service's or an order's log as they come, while the part that asks is shown. The newest `most` are kept. */
export function useLogs(of: LogsOf | undefined, most = 500): readonly LogLine[] {
  const [lines, setLines] = useState<readonly LogLine[]>([])
  const key = query(of ? { ...of } : undefined)
  useEffect(() => {
    setLines([])
    if (!of) return
    want(of)
    let waiting: LogLine[] = []
    // Told at most four times a second, however many lines come.
    const timer = setInterval(() => {
      if (waiting.length === 0) return
      const come = waiting
      waiting = []
      setLines((before) => [...before, ...come].slice(-most))
    }, 250)
    const stop = listen('log', (line) => void waiting.push(line as LogLine))
    return () => {
      clearInterval(timer)
      stop()
      want(undefined)
    }
  }, [key, most])
  return lines
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
