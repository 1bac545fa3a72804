// Nothing moves under the hand: while the pointer is over one graph of a group, all of the group stand still.
import { useSyncExternalStore } from 'react'

const held = new Map<string, number>()
const watchers = new Set<() => void>()

/** Since when the group stands still; undefined while it moves. */
export function useHold(group: string): number | undefined {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher)
      return () => watchers.delete(watcher)
    },
    () => held.get(group),
  )
}

export function hold(group: string, on: boolean): void {
  if (on === held.has(group)) return
  if (on) held.set(group, Date.now())
  else held.delete(group)
  for (const watcher of watchers) watcher()
}
