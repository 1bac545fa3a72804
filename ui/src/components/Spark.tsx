// Five minutes of one number, small, with the changes as dotted poles. Hidden from readers: the figure above it says it.
import type { ReactNode } from 'react'

interface Props { times: readonly number[]; values: readonly (number | null)[]; from: number; to: number; flags?: readonly number[]; zero?: boolean }

/** `from`, `to`, `flags` in milliseconds, `times` in seconds. */
export function Spark({ times, values, from, to, flags = [], zero = false }: Props): ReactNode {
  const known = values.filter((value): value is number => value !== null)
  const least = zero ? Math.min(0, ...known) : Math.min(...known)
  const most = Math.max(...known)
  const span = most - least || 1
  const x = (at: number): number => 1 + ((at - from) / (to - from || 1)) * 148
  const y = (value: number): number => (most === least && !zero ? 15 : 28 - ((value - least) / span) * 25)
  let path = ''
  let drawing = false
  values.forEach((value, index) => {
    const at = (times[index] ?? 0) * 1000
    if (value === null || at < from) {
      drawing = false
      return
    }
    path += `${drawing ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`
    drawing = true
  })
  return (
    <svg className="spark" viewBox="0 0 150 30" preserveAspectRatio="none" aria-hidden="true">
      {flags.filter((at) => at >= from && at <= to).map((at, index) => <line key={index} x1={x(at)} x2={x(at)} y1="0" y2="30" />)}
      {known.length > 0 && <path d={path} />}
    </svg>
  )
}
