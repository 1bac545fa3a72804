// The two big buttons at the bottom of a phone, for what can't wait; not there on wide screens. A second tap within 0.6 s does nothing.
import { useRef, type ReactNode } from 'react'

/** `alone`: in place of the tabs (the page has its own way back); else above them. */
export function PhoneBar({ name, note, alone = false, children }: { name: string; note?: ReactNode; alone?: boolean; children: ReactNode }): ReactNode {
  return (
    <div className={alone ? 'phonebar alone' : 'phonebar'} role="region" aria-label={name}>
      <div className="two">{children}</div>
      {note && <p className="t3">{note}</p>}
    </div>
  )
}

/** Lets a press through only when the last one on any button of this guard is at least 0.6 s ago: a double tap is one tap. */
export function useOneTap(): (does: () => void) => void {
  const last = useRef(0)
  return (does) => {
    const now = performance.now()
    if (now - last.current < 600) return
    last.current = now
    does()
  }
}
