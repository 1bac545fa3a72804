// Icons of navigation and of things that can be opened: 16 px, 1.5 stroke, always hidden from readers (a word stands beside them).
import type { ReactNode } from 'react'

const drawn = {
  overview: <path d="M2 9h3l2-5 3 8 2-3h2" />,
  incidents: <path d="M8 2.500l6 10.500H2zM8 6.500v3M8 11.300v.1" />,
  chat: <path d="M2.500 3h11v8H7l-3 2.500V11H2.500z" />,
  deploy: <path d="M8 2v8M4.800 5L8 2l3.200 3M3 11v2.500h10V11" />,
  orders: <path d="M4 2.500h8v11H4zM6.300 6h3.400M6.300 9h3.400" />,
  explore: <path d="M2.500 2.500v11h11M5 10l2.500-3 2 1.500L13 4.500" />,
  logs: <path d="M3 4h10M3 7h7M3 10h9M3 13h5" />,
  changes: <path d="M4 14V2.500h8L10 5.500l2 3H4" />,
  host: <path d="M2.500 3h11v4h-11zM2.500 9h11v4h-11zM5 5h.1M5 11h.1" />,
  heart: <path d="M8 13.500C3 10 2 7.500 2.500 5.500c.5-2.300 3.800-3 5.500-.5 1.700-2.500 5-1.800 5.500.5.5 2-.5 4.500-5.500 8z" />,
  more: <path d="M3.500 8h.1M8 8h.1M12.500 8h.1" strokeWidth="2.500" />,
  find: (<><circle cx="7" cy="7" r="4.200" /><path d="M10.200 10.200l3.300 3.300" /></>),
  down: <path d="M4 6l4 4 4-4" />,
  right: <path d="M6 4l4 4-4 4" />,
  left: <path d="M10 4L6 8l4 4" />,
  moon: <path d="M13 9.500A5.500 5.500 0 116.500 3a4.500 4.500 0 006.500 6.500z" />,
  sun: (<><circle cx="8" cy="8" r="2.800" /><path d="M8 1.800v1.400M8 12.800v1.400M1.800 8h1.400M12.800 8h1.400M3.600 3.600l1 1M11.400 11.400l1 1M3.600 12.400l1-1M11.400 4.600l1-1" /></>),
  close: <path d="M4 4l8 8M12 4l-8 8" />,
  plus: <path d="M8 3v10M3 8h10" />,
} as const

export type IconName = keyof typeof drawn

export function Icon({ name, className }: { name: IconName; className?: string }): ReactNode {
  return <svg className={className ? `i ${className}` : 'i'} viewBox="0 0 16 16" aria-hidden="true">{drawn[name]}</svg>
}

/** The flyball governor itself. */
export function Logo(): ReactNode {
  return (
    <svg className="i" viewBox="0 0 20 20" aria-hidden="true">
      <path d="M10 2v16M6.500 18h7" strokeWidth="1.500" />
      <path d="M10 3.500L4.600 10M10 3.500l5.400 6.500M4.600 10L10 14.500 15.400 10" strokeWidth="1.300" />
      <circle cx="4.300" cy="10.300" r="2.300" fill="currentColor" stroke="none" />
      <circle cx="15.700" cy="10.300" r="2.300" fill="currentColor" stroke="none" />
    </svg>
  )
}
