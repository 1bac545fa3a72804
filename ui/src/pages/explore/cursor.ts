// At which time of each query the cursor is, in seconds: told to the legends alone, so that the graphs are not drawn anew for it.
import { useCallback, useSyncExternalStore } from 'react'

export class Cursor {
  private readonly at = new Map<string, number>()
  private readonly watchers = new Set<() => void>()

  set(letter: string, at: number | undefined): void {
    if (this.at.get(letter) === at) return
    if (at === undefined) this.at.delete(letter)
    else this.at.set(letter, at)
    for (const watcher of this.watchers) watcher()
  }

  get = (letter: string): number | undefined => this.at.get(letter)

  watch = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher)
    return () => this.watchers.delete(watcher)
  }
}

export const useCursor = (cursor: Cursor, letter: string): number | undefined => useSyncExternalStore(cursor.watch, useCallback(() => cursor.get(letter), [cursor, letter]))
