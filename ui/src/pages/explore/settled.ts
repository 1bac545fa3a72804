// What is typed, once it has stood for a moment.
import { useEffect, useState } from 'react'

/** The value when it has not changed for so many milliseconds. */
export function useSettled(value: string, after: number): string {
  const [settled, setSettled] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), after)
    return () => clearTimeout(timer)
  }, [value, after])
  return settled
}
