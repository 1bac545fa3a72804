// Sentences of the engine: its templates with what fills them, mended where one template has to serve one and many. Pure.
import { fill, type Args } from './text'
import type { Language } from './time'

export interface Entry { en: string; zh: string }

/** `reasons`: templates whose finished English can stand in an argument; in Chinese they are said in Chinese. */
export function engineSentence(template: string, args: Args | undefined, language: Language, reasons: readonly Entry[] = []): string {
  // A first release comes from nothing: then only where it goes is said.
  const from = args?.['from'] === '-' || args?.['from'] === ''
  const used = from ? template.replace('{from} to {to}', '{to}').replace('{from} 到 {to}', '{to}') : template
  if (language === 'zh') return fill(used, args && inChinese(args, reasons), language)
  return fill(used, args, language).replace(/(?<![\d.,])1 (host|server|suspect|difference|change|alert|time)s\b( report\b)?/g, (_, noun: string, verb?: string) => `1 ${noun}${verb ? ' reports' : ''}`)
}

function inChinese(args: Args, reasons: readonly Entry[]): Args {
  const out: Record<string, unknown> = { ...args }
  for (const [name, value] of Object.entries(args)) {
    if (typeof value !== 'string' || value.length < 8 || value.length > 600) continue
    for (const reason of reasons) {
      const found = taken(reason.en, value)
      if (!found) continue
      out[name] = fill(reason.zh, found, 'zh')
      break
    }
  }
  return out
}

/** What filled the template to make this text; undefined when the text is not of this template. */
export function taken(template: string, text: string): Record<string, string> | undefined {
  const names: string[] = []
  const pattern = template.split(/\{([a-z_0-9]+)\}/i).map((part, index) => {
    if (index % 2 === 0) return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    names.push(part)
    return '(.{1,300}?)'
  }).join('')
  const match = new RegExp(`^${pattern}$`).exec(text)
  return match ? Object.fromEntries(names.map((name, index) => [name, match[index + 1] ?? ''])) : undefined
}
