// The header: find or command, whether this is live, range, clock with zone, language, theme, person.
import { Popover } from '@mantine/core'
import { useId, useState, type ReactNode } from 'react'
import { togglePause, useNow, usePaused } from '../data/clock'
import { post } from '../data/http'
import { tryNow, useLink } from '../data/live'
import { useMe } from '../data/queries'
import { browserZone, change, ownZone, scheme, useSettings } from '../data/settings'
import { defaultRange, frozen, instant, isLive, presets, step } from '../lib/range'
import { initials } from '../lib/text'
import { zoneName } from '../lib/time'
import { usePageRange, useSearchText } from './address'
import { copyText } from './Copy'
import { Icon } from './Icon'
import { useKey } from './keyboard'
import { useFormat, useWord } from './language'
import { Glyph } from './State'

export function Header({ onFind, onHelp }: { onFind: () => void; onHelp: () => void }): ReactNode {
  const word = useWord()
  const settings = useSettings()
  const flipTheme = (): void => change({ theme: scheme(settings) === 'dark' ? 'light' : 'dark' })
  const flipLanguage = (): void => change({ language: settings.language === 'zh' ? 'en' : 'zh' })
  useKey('Shift+d', flipTheme)
  useKey('Shift+l', flipLanguage)
  return (
    <header className="headbar">
      <button type="button" className="find" onClick={onFind} aria-keyshortcuts="Control+K">
        <Icon name="find" /><span className="grow cut">{word('head.find')}</span><kbd>Ctrl K</kbd>
      </button>
      <span className="end" />
      <LiveState />
      <span className="wideonly"><RangeMenu /></span>
      <Clock />
      <button type="button" className="btn quiet wideonly" style={{ padding: '0 6px' }} aria-label={word('head.language')} onClick={flipLanguage}>{settings.language === 'zh' ? '中' : 'EN'}</button>
      <button type="button" className="btn quiet wideonly" style={{ padding: '0 6px' }} aria-label={word('head.theme')} onClick={flipTheme}><Icon name={scheme(settings) === 'dark' ? 'sun' : 'moon'} /></button>
      <PersonMenu onHelp={onHelp} flipTheme={flipTheme} flipLanguage={flipLanguage} />
    </header>
  )
}

interface PersonProps { onHelp: () => void; flipTheme: () => void; flipLanguage: () => void }

function PersonMenu({ onHelp, flipTheme, flipLanguage }: PersonProps): ReactNode {
  const word = useWord()
  const settings = useSettings()
  const me = useMe().data
  const [, setZone] = useSearchText('tz')
  const [opened, setOpened] = useState(false)
  // A person's own choice is seen at once, whatever zone the address asked for.
  const flipZone = (): void => { change({ zone: settings.zone === 'UTC' ? browserZone : 'UTC' }); setZone(undefined) }
  const item = (does: () => void, text: string, key?: string, stays = false): ReactNode => (
    <li><button type="button" className="menu-item" onClick={() => { does(); if (!stays) setOpened(false) }}><span className="grow">{text}</span>{key && <kbd>{key}</kbd>}</button></li>
  )
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" trapFocus returnFocus withinPortal={false} transitionProps={{ duration: 0 }} width={250}>
      <Popover.Target>
        <button type="button" className="btn quiet" style={{ padding: '0 4px' }} aria-label={word('head.person', { name: me?.shown ?? '' })} title={me?.shown} onClick={() => setOpened(!opened)}><span className="av">{initials(me?.shown ?? '?')}</span></button>
      </Popover.Target>
      <Popover.Dropdown aria-label={word('head.person', { name: me?.shown ?? '' })}>
        <p className="m" style={{ padding: '0 8px 4px' }}>{me?.shown}{me && me.shown !== me.name && <span className="t3 sm"> {me.name}</span>}</p>
        <ul>
          {item(onHelp, word('head.help'), '?')}
          {item(flipTheme, word('head.theme'), 'Shift D', true)}
          {item(flipLanguage, settings.language === 'zh' ? 'English' : '中文', 'Shift L', true)}
          {item(flipZone, settings.zone === 'UTC' ? word('head.zone.local', { zone: zoneName(browserZone) }) : word('head.zone.utc'))}
          {item(() => change({ dense: !settings.dense }), word(settings.dense ? 'head.dense_on' : 'head.dense_off'), undefined, true)}
          {item(() => change({ keys: !settings.keys }), word(settings.keys ? 'head.keys_on' : 'head.keys_off'), undefined, true)}
          {item(() => void post('/logout').finally(() => location.assign('/login')), word('head.logout'))}
        </ul>
      </Popover.Dropdown>
    </Popover>
  )
}

function LiveState(): ReactNode {
  const word = useWord()
  const format = useFormat()
  const link = useLink()
  const paused = usePaused()
  const now = useNow(1000)
  useKey('.', togglePause)
  if (link.state === 'stale') {
    const left = Math.max(0, (link.next ?? now) - now)
    return (
      <span className="row" style={{ flexWrap: 'nowrap' }} role="status">
        <span className="st warn sm"><Glyph shape="late" tone="" />{word('head.stale', { time: format.clock(link.heard) })}</span>
        <button type="button" className="btn small wideonly" onClick={tryNow}>{word('head.stale_try', { left: format.duration(Math.ceil(left / 1000) * 1000) })}</button>
      </span>
    )
  }
  if (paused !== undefined) {
    return <span className="row nw"><span className="tag">{word('head.paused', { time: format.clock(paused) })}</span><button type="button" className="btn small" onClick={togglePause}>{word('head.resume')}</button></span>
  }
  // Always one decimal: the text keeps its width, and nothing beside it moves.
  const tenths = (millis: number): string => (format.language === 'zh' ? `${(millis / 1000).toFixed(1)} 秒` : `${(millis / 1000).toFixed(1)}\u202fs`)
  const behind = Math.max(0, now - link.heard)
  return (
    <span className="live">
      <i className={link.state === 'live' ? '' : 'off'} aria-hidden="true" />
      <span className="wideonly">{link.state === 'connecting' ? word('head.connecting') : behind > 9_000 ? word('head.live') : word('head.live_behind', { behind: tenths(behind) })}</span>
    </span>
  )
}

function Clock(): ReactNode {
  const word = useWord()
  const format = useFormat()
  const { zone } = useSettings()
  const now = useNow(1000)
  return <span className="t2 sm nw" title={word('head.zone', { zone: zoneName(zone) })}><span className="b" style={{ color: 'var(--text)' }}>{format.clock(now)}</span> {zoneName(zone)}</span>
}

/** `keys` false: another one on the page has them. `times`: a fixed range is said by its ends. */
export function RangeMenu({ keys = true, times = false }: { keys?: boolean; times?: boolean }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const { range, from, to, set } = usePageRange()
  const [opened, setOpened] = useState(false)
  const [typed, setTyped] = useState({ from: '', to: '' })
  const [copied, setCopied] = useState(false)
  const id = useId()
  useKey('t', () => setOpened(true), keys)
  useKey('[', () => set(step(range, -1, Date.now())), keys)
  useKey(']', () => set(step(range, 1, Date.now())), keys)
  const preset = isLive(range) ? presets.find((span) => range.from === `now-${span}`) : undefined
  const bad = (typed.from !== '' || typed.to !== '') && !(instant(typed.from, Date.now()) < instant(typed.to, Date.now()))
  const open = (next: boolean): void => {
    if (next) setTyped(range)
    setCopied(false)
    setOpened(next)
  }
  const share = async (): Promise<void> => {
    setCopied(await copyText(frozen(location.href, { from, to })))
  }
  const whole = (millis: number): string => format.duration(millis).replace(/ 00.(min|s|分|秒)$/, '').replace(/ 00 (分|秒)$/, '')
  const span = (text: string): string => whole(instant('now', 0) - instant(`now-${text}`, 0))
  return (
    <Popover opened={opened} onChange={open} position="bottom-end" trapFocus returnFocus withinPortal={false} transitionProps={{ duration: 0 }} width={280}>
      <Popover.Target>
        <button type="button" className="sel" aria-haspopup="dialog" aria-expanded={opened} onClick={() => open(!opened)}>
          <span className="sr">{word('head.range')}: </span>
          {preset ? word('head.range.last', { span: span(preset) }) : isLive(range) ? word('head.range.last', { span: whole(to - from) }) : times ? word('head.range.times', { from: format.when(from), to: to - from < 86_400_000 ? format.clock(to) : format.when(to) }) : word('head.range.fixed')}
          <Icon name="down" />
        </button>
      </Popover.Target>
      <Popover.Dropdown aria-label={word('head.range')}>
        <div className="row wrap" style={{ gap: 6 }}>
          {presets.map((one) => (
            <button key={one} type="button" className={one === preset ? 'btn small pri' : 'btn small'} aria-pressed={one === preset} onClick={() => { set({ ...defaultRange, from: `now-${one}` }); setOpened(false) }}>{span(one)}</button>
          ))}
        </div>
        <form onSubmit={(event) => { event.preventDefault(); if (!bad) { set(typed); setOpened(false) } }}>
          <label className="lab" htmlFor={`${id}from`}>{word('head.range.from')}</label>
          <input id={`${id}from`} className="inp mono range-from" value={typed.from} aria-invalid={bad} onChange={(event) => setTyped({ ...typed, from: event.target.value })} />
          <label className="lab" htmlFor={`${id}to`}>{word('head.range.to')}</label>
          <input id={`${id}to`} className="inp mono" value={typed.to} aria-invalid={bad} onChange={(event) => setTyped({ ...typed, to: event.target.value })} />
          {bad && <p className="bad xs" role="alert">{word('head.range.bad')}</p>}
          <div className="row wrap" style={{ marginTop: 10 }}>
            <button type="submit" className="btn small pri" disabled={bad}>{word('head.range.apply')}</button>
          </div>
        </form>
        <ZonePick />
        <button type="button" className="btn small quiet" style={{ marginTop: 8, paddingLeft: 0 }} onClick={() => void share()}>{word(copied ? 'head.shared' : 'head.share')}</button>
      </Popover.Dropdown>
    </Popover>
  )
}

/** In which zone times are shown on this page: it stands in the address, and is seen by whoever gets the link. `U` is UTC and back. */
function ZonePick(): ReactNode {
  const word = useWord()
  const id = useId()
  const [asked, setAsked] = useSearchText('tz')
  const { zone } = useSettings()
  useKey('u', () => setAsked(asked === 'UTC' ? undefined : 'UTC'))
  const known = asked === undefined || asked === 'browser' || asked === 'UTC' ? '' : zone
  return (
    <div className="zones">
      <label className="lab" htmlFor={id}>{word('head.zone.pick')} <kbd>U</kbd></label>
      <select id={id} className="inp" value={asked === 'browser' || asked === 'UTC' ? asked : known} onChange={(event) => setAsked(event.target.value || undefined)}>
        <option value="">{word('head.zone.own', { zone: zoneName(ownZone()) })}</option>
        <option value="UTC">UTC</option>
        <option value="browser">{word('head.zone.browser', { zone: zoneName(browserZone) })}</option>
        <optgroup label={word('head.zone.all')}>
          {known !== '' && !allZones.includes(known) && <option value={known}>{known}</option>}
          {allZones.map((one) => <option key={one} value={one}>{one}</option>)}
        </optgroup>
      </select>
    </div>
  )
}

const allZones: readonly string[] = Intl.supportedValuesOf('timeZone')
