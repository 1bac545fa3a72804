// A button that copies a text, and says so for two seconds.
import { useEffect, useState, type ReactNode } from 'react'
import { useWord } from './language'

/** Pages without TLS have no clipboard of the browser's: there the old way does, by a text that is selected for a moment. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const area = document.createElement('textarea')
    const before = document.activeElement
    area.value = text
    area.className = 'sr'
    document.body.append(area)
    area.select()
    const done = document.execCommand('copy')
    area.remove()
    if (before instanceof HTMLElement) before.focus()
    return done
  }
}

export function CopyButton({ text, children, className = 'btn small quiet' }: { text: () => string; children: ReactNode; className?: string }): ReactNode {
  const word = useWord()
  const [copied, setCopied] = useState(false)
  useEffect(() => {
    if (!copied) return
    const timer = setTimeout(() => setCopied(false), 2000)
    return () => clearTimeout(timer)
  }, [copied])
  return (
    <button type="button" className={`${className} copies`} onClick={() => void copyText(text()).then(setCopied)}>
      {/* Both words lie on each other, so that the button keeps its width. */}
      <span aria-hidden={copied} className={copied ? 'off' : ''}>{children}</span>
      <span role="status" aria-live="polite" className={copied ? '' : 'off'}>{copied ? word('do.copied') : ''}</span>
    </button>
  )
}
