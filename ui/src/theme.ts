// Mantine on the tokens of tokens.css: sizes of ui.md, colours mapped so that both themes come from one place.
import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from '@mantine/core'

const accent = Array.from({ length: 10 }, () => 'var(--accent)') as unknown as MantineColorsTuple

export const theme = createTheme({
  fontFamily: 'var(--font)',
  fontFamilyMonospace: 'var(--mono)',
  primaryColor: 'accent',
  colors: { accent },
  defaultRadius: 6,
  fontSizes: { xs: '11px', sm: '12px', md: '13px' },
  spacing: { xs: '4px', sm: '8px', md: '12px', lg: '16px', xl: '20px' },
  lineHeights: { md: '1.46' },
  cursorType: 'pointer',
  respectReducedMotion: true,
})

const mapped = {
  '--mantine-color-body': 'var(--panel)',
  '--mantine-color-text': 'var(--text)',
  '--mantine-color-dimmed': 'var(--text-3)',
  '--mantine-color-default': 'var(--panel)',
  '--mantine-color-default-border': 'var(--line-2)',
  '--mantine-color-default-hover': 'var(--hover)',
  '--mantine-color-default-color': 'var(--text)',
  '--mantine-color-error': 'var(--bad)',
  '--mantine-color-anchor': 'var(--accent)',
  '--mantine-color-placeholder': 'var(--text-3)',
}

export const resolver: CSSVariablesResolver = () => ({ variables: {}, light: mapped, dark: mapped })
