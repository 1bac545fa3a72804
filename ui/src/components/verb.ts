// Says a verb and remembers that it was asked until the event comes back; a refusal stays as a sentence.
import { useCallback, useEffect, useRef, useState } from 'react'
import type { Answer } from '../data/api'
import { ask } from '../data/queries'
import { useFormat, useWord } from './language'

export interface Verbs {
  /** The verb that was asked and has not come back yet. */
  asked: string | undefined
  problem: string | undefined
  answer: Answer | undefined
  /** `say('halt 7K')`: confirmed by the button that called it. Ends with the answer, or undefined when there was none. */
  say: (text: string, dryRun?: boolean) => Promise<Answer | undefined>
  /** The same for anything else that is asked: `run('note', () => post(...))`. */
  run: <T>(name: string, make: () => Promise<T>) => Promise<T | undefined>
}

/** `key`: the thing's state; when it changes, what was asked has happened. */
export function useVerbs(key: unknown): Verbs {
  const word = useWord()
  const format = useFormat()
  const [asked, setAsked] = useState<string>()
  const [problem, setProblem] = useState<string>()
  const [answer, setAnswer] = useState<Answer>()
  const busy = useRef<string>(undefined)
  useEffect(() => {
    busy.current = undefined
    setAsked(undefined)
  }, [key])
  const run = useCallback(
    async <T>(name: string, make: () => Promise<T>): Promise<T | undefined> => {
      if (busy.current === name) return undefined
      busy.current = name
      setAsked(name)
      setProblem(undefined)
      try {
        const done = await make()
        const refused = (done as { outcome?: { is: string; text: { id: string } } } | undefined)?.outcome
        if (refused?.is === 'refused') setProblem(format.text(refused.text))
        return done
      } catch (error) {
        setProblem(error instanceof Error && error.message !== 'network' ? error.message : word('error.network'))
        return undefined
      } finally {
        if (busy.current === name) busy.current = undefined
        setAsked((now) => (now === name ? undefined : now))
      }
    },
    [format, word],
  )
  const say = useCallback(
    async (text: string, dryRun = false) => {
      const done = await run(text.split(' ')[0] ?? text, () => ask({ text, ...(dryRun ? { dry_run: true } : { yes: true }) }))
      if (done) setAnswer(done)
      return done
    },
    [run],
  )
  return { asked, problem, answer, say, run }
}
