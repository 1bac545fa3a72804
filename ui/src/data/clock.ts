// The page's "now": one ticking clock for everything that is live, and the pause that holds it still.
import { useEffect, useState, useSyncExternalStore } from 'react'

let pausedAt: number | undefined
const watchers = new Set<() => void>()

export function togglePause(): void {
  pausedAt = pausedAt === undefined ? Date.now() : undefined
  for (const watcher of watchers) watcher()
}

/** When the page was paused, if it is. */
export const usePaused = (): number | undefined =>
  useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher)
      return () => watchers.delete(watcher)
    },
    () => pausedAt,
  )

/** The time now, told every `every` milliseconds; a hidden tab is told every 10 s. */
export function useNow(every = 1000): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>
    const tell = (): void => {
      setNow(Date.now())
      timer = setTimeout(tell, document.hidden ? Math.max(10_000, every) : every - (every >= 1000 ? Date.now() % every : 0))
    }
    timer = setTimeout(tell, every)
    return () => clearTimeout(timer)
  }, [every])
  return now
}
