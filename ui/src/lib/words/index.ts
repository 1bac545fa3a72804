// All words of the page, both languages side by side: [English, 中文]. One file per page or part; a test holds that none is missing.
import { fill, type Args } from '../text'
import type { Language } from '../time'
import { cardinality } from './cardinality'
import { chat } from './chat'
import { deploy } from './deploy'
import { explore } from './explore'
import { frame } from './frame'
import { incidents } from './incidents'
import { login } from './login'
import { overview } from './overview'
import { rule } from './rule'

export const words = { ...frame, ...login, ...overview, ...explore, ...cardinality, ...rule, ...deploy, ...incidents, ...chat } as const

export type WordId = keyof typeof words

/** The sentence `id` in `language`, its places filled. */
export function word(language: Language, id: WordId, args?: Args): string {
  const [en, zh] = words[id]
  return fill(language === 'zh' ? zh : en, args, language)
}
