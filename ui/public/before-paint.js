// Sets colour scheme and language on <html> before anything is painted. A file of its own, so that no inline script is needed.
;(function () {
  var kept = {}
  try {
    kept = JSON.parse(localStorage.getItem('flyball') || '{}') || {}
  } catch (_) {}
  var root = document.documentElement
  var dark = kept.theme === 'dark' || (kept.theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches)
  root.dataset.theme = dark ? 'dark' : 'light'
  root.dataset.mantineColorScheme = dark ? 'dark' : 'light'
  root.lang = kept.language || (/^zh/i.test(navigator.language) ? 'zh' : 'en')
})()
