// Words of the page. [English, 中文].

export const overview = {
} as const
