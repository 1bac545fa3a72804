// Help for every page: keys and states.
import type { ReactNode } from 'react'
import { navigation } from '../pages/registry'
import { keysOfPage } from './keyboard'
import { useWord } from './language'
import { Sheet } from './Sheet'
import { State } from './State'

const states = ['ok', 'bad', 'halted', 'late', 'down', 'no_data', 'running', 'rolled_back', 'untouched'] as const

export function Help({ opened, onClose }: { opened: boolean; onClose: () => void }): ReactNode {
  const word = useWord()
  const keys: (readonly [string, string])[] = [
    ...(opened ? keysOfPage() : []),
    ['Ctrl K', word('help.palette')],
    ...navigation.map((nav): [string, string] => [`G ${nav.key.toUpperCase()}`, word('help.go', { page: word(nav.word) })]),
    ['[ ]', word('help.range')],
    ['.', word('help.live')],
    ['Shift H', word('help.halt')],
    ['Shift R', word('help.roll_back')],
    ['Shift D', word('help.theme')],
    ['Shift L', word('help.language')],
    ['J K X A Esc', word('help.select')],
    ['E R N', word('help.next')],
    ['Esc', word('help.escape')],
    ['?', word('help.this')],
  ]
  return (
    <Sheet opened={opened} onClose={onClose} title={word('help.title')}>
      <h3>{word('help.keys')}</h3>
      <dl className="kv" style={{ gridTemplateColumns: '84px 1fr', margin: '6px 0 14px' }}>
        {keys.map(([key, does]) => [<dt key={`${key}k`}><kbd>{key}</kbd></dt>, <dd key={`${key}d`}>{does}</dd>])}
      </dl>
      <h3>{word('help.states')}</h3>
      <ul style={{ columns: 2, marginTop: 6 }}>{states.map((shape) => <li key={shape}><State shape={shape} /></li>)}</ul>
    </Sheet>
  )
}
