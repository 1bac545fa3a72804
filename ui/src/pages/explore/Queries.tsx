// The queries A, B, .. with what can be done to each, and below them a line that explains the word at the caret.
import { Popover } from '@mantine/core'
import { useState, type ReactNode } from 'react'
import { copyText } from '../../components/Copy'
import { Icon } from '../../components/Icon'
import { useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { formatted } from '../../data/prom'
import { queriesMost } from '../../lib/explore'
import { letterOf, type Answer } from './answers'
import { Editor, type Hint } from './Editor'
import { Explained, useExplain } from './help'

interface Props {
  drafts: readonly string[]
  answers: readonly Answer[]
  asked: readonly string[]
  /** Which editor history and help are about. */
  focused: number
  range: { from: number; to: number; step: number }
  onFocus: (index: number) => void
  onDrafts: (drafts: readonly string[]) => void
  onRun: (drafts: readonly string[]) => void
  onRule: (query: string) => void
}

export function Queries({ drafts, answers, asked, focused, range, onFocus, onDrafts, onRun, onRule }: Props): ReactNode {
  const word = useWord()
  const [hint, setHint] = useState<Hint>()
  const explain = useExplain(hint?.word !== undefined)
  const known = hint?.word === undefined ? undefined : explain(hint.word)
  const replaced = (index: number, text: string): string[] => drafts.map((other, at) => (at === index ? text : other))
  return (
    <Panel name={word('explore.queries')}>
      {drafts.map((draft, index) => (
        <Editor key={index} letter={letterOf(index)} value={draft} asked={asked[index]} answer={answers[index]} focused={focused === index} onFocus={() => onFocus(index)}
          onChange={(text) => onDrafts(replaced(index, text))} onRun={() => onRun(drafts)} onHint={setHint}
          menu={(
            <Menu letter={letterOf(index)} query={draft} range={range} alone={drafts.length === 1} full={drafts.length >= queriesMost}
              onFormat={(text) => onDrafts(replaced(index, text))} onDuplicate={() => onDrafts([...drafts.slice(0, index + 1), draft, ...drafts.slice(index + 1)])}
              onRule={() => onRule(draft)} onRemove={() => { const rest = drafts.filter((_, at) => at !== index); onDrafts(rest); onRun(rest) }} />
          )} />
      ))}
      <div className="q add">
        <button type="button" className="btn quiet small" disabled={drafts.length >= queriesMost} onClick={() => { onDrafts([...drafts, '']); onFocus(drafts.length) }}><Icon name="plus" />{word('explore.add')}</button>
        <span id="explore-hint" className="sm grow hint">
          {hint?.mistake ? <span className="bad">{hint.mistake}</span> : known ? <Explained known={known} /> : <span className="t3">{word('explore.hint')}</span>}
        </span>
        {asked.length > 1 && <span className="t3 sm nw onwide">{word('explore.tied', { letters: asked.slice(1).map((_, index) => letterOf(index + 1)) })}</span>}
      </div>
    </Panel>
  )
}

interface MenuProps {
  letter: string
  query: string
  range: { from: number; to: number; step: number }
  alone: boolean
  full: boolean
  onFormat: (text: string) => void
  onDuplicate: () => void
  onRule: () => void
  onRemove: () => void
}

function Menu({ letter, query, range, alone, full, onFormat, onDuplicate, onRule, onRemove }: MenuProps): ReactNode {
  const word = useWord()
  const [opened, setOpened] = useState(false)
  const curl = (): string => {
    const address = `${location.origin}/api/v1/query_range?${new URLSearchParams({ query, start: String(range.from / 1000), end: String(range.to / 1000), step: String(range.step) }).toString()}`
    return `curl -H "Authorization: Bearer $FLYBALL_TOKEN" '${address.replaceAll("'", '%27')}'`
  }
  // A query that can't be read stays as it is: its mistake is marked in the editor.
  const format = async (): Promise<void> => { await formatted(query).then(onFormat, () => undefined) }
  const item = (does: () => void, text: string, off = false): ReactNode => (
    <li><button type="button" className="menu-item" aria-disabled={off} onClick={() => { if (off) return; setOpened(false); does() }}>{text}</button></li>
  )
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" trapFocus returnFocus withinPortal={false} transitionProps={{ duration: 0 }} width={210}>
      <Popover.Target><button type="button" className="btn quiet small" aria-label={word('explore.menu', { letter })} aria-haspopup="dialog" aria-expanded={opened} onClick={() => setOpened(!opened)}><Icon name="down" /></button></Popover.Target>
      <Popover.Dropdown aria-label={word('explore.menu', { letter })}>
        <ul>
          {item(() => void format(), word('explore.menu.format'), query.trim() === '')}
          {item(onRule, word('rule.title'), query.trim() === '')}
          {item(onDuplicate, word('explore.menu.duplicate'), full)}
          {item(() => void copyText(curl()), word('explore.copy_curl'), query.trim() === '')}
          {item(onRemove, word('explore.menu.remove'), alone)}
        </ul>
      </Popover.Dropdown>
    </Popover>
  )
}
