// A button that acts after being held for 0.8 s; letting go cancels. By keyboard and touch it opens the sheet instead.
import { useEffect, useRef, useState, type KeyboardEvent, type PointerEvent, type ReactNode } from 'react'
import { useWord } from './language'

interface Props {
  /** Held to the end. */
  onHeld: () => void
  /** Enter or a tap: opens the sheet that says what would happen. */
  onAsk: () => void
  children: ReactNode
  glyph?: ReactNode
  className?: string
  disabled?: boolean
  /** Why it can't be pressed; shown in place of the title. */
  reason?: string | undefined
}

export const holdMillis = 800

export function HoldButton({ onHeld, onAsk, children, glyph, className = 'btn dan', disabled = false, reason }: Props): ReactNode {
  const [holding, setHolding] = useState(false)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const word = useWord()
  const stop = (): void => {
    clearTimeout(timer.current)
    setHolding(false)
  }
  useEffect(() => () => clearTimeout(timer.current), [])
  useEffect(() => {
    if (disabled) stop()
  }, [disabled])
  const press = (event: PointerEvent<HTMLButtonElement>): void => {
    if (event.button !== 0 || disabled) return
    if (event.pointerType === 'touch') return
    event.currentTarget.setPointerCapture(event.pointerId)
    setHolding(true)
    clearTimeout(timer.current)
    timer.current = setTimeout(() => {
      setHolding(false)
      onHeld()
    }, holdMillis)
  }
  const keys = (event: KeyboardEvent<HTMLButtonElement>): void => {
    if ((event.key === 'Enter' || event.key === ' ') && !event.repeat) {
      event.preventDefault()
      if (!disabled) onAsk()
    }
  }
  return (
    <button
      type="button" className={`${className} holding${holding ? ' on' : ''}`} aria-disabled={disabled || undefined} title={reason}
      onPointerDown={press} onPointerUp={stop} onPointerCancel={stop} onPointerLeave={stop} onKeyDown={keys} onContextMenu={(event) => event.preventDefault()}
      onClick={(event) => {
        // A tap, or a reader's click without a pointer: both go through the sheet.
        const touch = (event.nativeEvent as globalThis.PointerEvent).pointerType === 'touch'
        if ((touch || event.detail === 0) && !disabled) onAsk()
      }}
    >
      <i aria-hidden="true" />
      <span>{glyph}{holding ? word('do.hold') : reason && disabled ? reason : children}</span>
    </button>
  )
}
